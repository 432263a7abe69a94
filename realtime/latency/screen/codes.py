"""The pattern: four markers, of which one changes at a step: a camera that films a change can read the others."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

UInt8Array = npt.NDArray[np.uint8]

CELLS = 4
CODES = 584  # of the dictionary's 587: every code has its cell
MODULES, QUIET = 8, 1  # of a marker's side, its black border included; around it
SIDE = 2 * MODULES + 3 * QUIET  # of the pattern, modules
MOST_PIXELS = 960  # of a picture's longer side that are searched: more takes longer and finds no more
BLACK, WHITE = 0, 255


def _dictionary() -> cv2.aruco.Dictionary:
    return cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_APRILTAG_36h11)  # its codes differ in 11 bits at least


def code_at(step: int) -> int:
    """The code that a step brings, in cell `step % CELLS`."""
    return step % CODES


def draw(step: int) -> UInt8Array:
    """(SIDE, SIDE) the pattern from this step to the next, a pixel a module, black and white."""
    pattern = np.full((SIDE, SIDE), WHITE, np.uint8)
    dictionary = _dictionary()
    for shown in range(max(0, step - CELLS + 1), step + 1):
        row, column = divmod(shown % CELLS, 2)
        top, left = (QUIET + place * (MODULES + QUIET) for place in (row, column))
        pattern[top : top + MODULES, left : left + MODULES] = cv2.aruco.generateImageMarker(
            dictionary, code_at(shown), MODULES
        )
    return pattern


class CodeReader:
    """Finds the markers in pictures."""

    def __init__(self) -> None:
        parameters = cv2.aruco.DetectorParameters()
        parameters.adaptiveThreshWinSizeMin = parameters.adaptiveThreshWinSizeMax = 23  # one threshold, not three: fast
        self._detector = cv2.aruco.ArucoDetector(_dictionary(), parameters)

    def read(self, pixels: UInt8Array) -> tuple[int, ...]:
        """The codes in a (H, W, 3) RGB picture, each once; empty where there is none."""
        scale = MOST_PIXELS / max(pixels.shape[:2])
        grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
        if scale < 1.0:
            grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        _, found, _ = self._detector.detectMarkers(grey)
        codes = () if found is None else np.asarray(found, int).ravel()
        return tuple(sorted({int(code) for code in codes if code < CODES}))
