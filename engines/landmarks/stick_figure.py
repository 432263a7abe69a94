"""A picture of landmarks for people to look at: the person as lines, where the camera sees them."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from engines.landmarks.chains import (
    FACE_AT,
    FEATURES,
    FINGERS,
    GIRDLES,
    HANDS_AT,
    HEAD_CHAINS,
    LIMBS,
    OVAL,
    POSE_FINGERS,
    POSE_MOUTH,
    SIDES,
    Chain,
)
from engines.landmarks.points import POSE_POINTS, Landmarks

LEFT, RIGHT, MIDDLE = (255, 120, 80), (90, 150, 255), (225, 225, 225)  # RGB; left and right are the person's
VISIBLE = 0.5
SHIFT = 4  # sub-pixel bits


def draw_stick_figure(landmarks: Landmarks, side: int) -> npt.NDArray[np.uint8]:
    """RGB uint8 (h, w, 3) of the whole picture, its longer side `side` pixels, black where nobody is."""
    scale = side / max(landmarks.height, landmarks.width)
    shape = max(round(landmarks.height * scale), 1), max(round(landmarks.width * scale), 1), 3
    picture: npt.NDArray[np.uint8] = np.zeros(shape, np.uint8)
    places = np.concatenate([landmarks.pose[:, :2], landmarks.hands[..., :2].reshape(-1, 2), landmarks.face[:, :2]])
    there = np.isfinite(places).all(axis=1) & (np.abs(places) < 1e5).all(axis=1)
    there[:POSE_POINTS] &= ~(landmarks.pose[:, 3] < VISIBLE)
    pixels = np.round(np.where(there[:, None], places, 0.0) * scale * (1 << SHIFT)).astype(np.int32)

    def draw(chains: tuple[Chain, ...], colour: tuple[int, int, int], offset: int = 0) -> None:
        for chain in chains:
            points = [at + offset for at in chain]
            if there[points].all():
                cv2.polylines(picture, [pixels[points]], False, colour, 1, cv2.LINE_AA, SHIFT)

    draw((*GIRDLES, POSE_MOUTH), MIDDLE)
    for at, colour in enumerate((LEFT, RIGHT)):
        draw((*LIMBS[at], SIDES[at], HEAD_CHAINS[at]), colour)
        tracked = bool(there[HANDS_AT[at]])
        draw(FINGERS if tracked else POSE_FINGERS[at], colour, HANDS_AT[at] if tracked else 0)
    if there[FACE_AT]:
        draw((OVAL, *FEATURES), MIDDLE)
    return picture
