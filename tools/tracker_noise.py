"""What the landmark tracker adds to the truth: noise on still parts, lag, losses.

Prints the tables that docs/tracker-noise.md sums up; the simulated tracker's noise rests on them. Lengths are in
shoulder widths.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import groupby
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt

from engines.landmarks.points import Landmarks
from realtime.capture.mediapipe.model_files import FACE, HAND, POSE, model_path
from realtime.capture.views.landmark_tracker import LandmarkTracker

FPS = 30
STILL_S, MOVED_S, SETTLE_S = 3.0, 3.0, 1.0
SENSOR_NOISE = 3.0  # grey levels, std, of a webcam indoors
AMPLITUDE = 0.06  # shoulder widths, of the made-up motion
FREQUENCIES_HZ = (0.5, 1.0, 2.0, 4.0)
QUIET = 0.25  # share of all half-second parts that counts as still, on real footage
HALF_SECOND = FPS // 2

UInt8Array = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float64]
Group = Callable[[Landmarks], npt.NDArray[np.float32]]

GROUPS: dict[str, Group] = {
    "head (pose)": lambda found: found.pose[:11, :3],
    "shoulders": lambda found: found.pose[11:13, :3],
    "elbows": lambda found: found.pose[13:15, :3],
    "wrists (pose)": lambda found: found.pose[15:17, :3],
    "hips": lambda found: found.pose[23:25, :3],
    "knees": lambda found: found.pose[25:27, :3],
    "ankles, heels, toes": lambda found: found.pose[27:33, :3],
    "hand: wrist and knuckles": lambda found: found.hands[:, [0, 1, 5, 9, 13, 17]].reshape(-1, 3),
    "hand: finger tips": lambda found: found.hands[:, [4, 8, 12, 16, 20]].reshape(-1, 3),
    "face": lambda found: found.face,
}


def frames(path: Path) -> Iterator[tuple[UInt8Array, int]]:
    """Pictures and their times in ns."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8), round((frame.time or 0.0) * 1e9)


def track(pictures: Iterator[tuple[UInt8Array, int]]) -> list[Landmarks]:
    with closing(LandmarkTracker(model_path(POSE), model_path(HAND), model_path(FACE))) as tracker:
        return [tracker.track(pixels, time_ns) for pixels, time_ns in pictures]


def unit(found: list[Landmarks]) -> float:
    """Shoulder width in pixels."""
    return float(np.nanmedian([np.hypot(*(each.pose[11, :2] - each.pose[12, :2])) for each in found]))


def repeated(picture: UInt8Array, seconds: float, shift: Callable[[float], float]) -> Iterator[tuple[UInt8Array, int]]:
    """One picture again and again, moved sideways by `shift(time)` pixels, with fresh sensor noise."""
    rng = np.random.default_rng(0)
    height, width = picture.shape[:2]
    for index in range(round(seconds * FPS)):
        matrix = np.array([[1.0, 0.0, shift(index / FPS)], [0.0, 1.0, 0.0]])
        moved = cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
        noisy = moved + rng.standard_normal(moved.shape, np.float32) * np.float32(SENSOR_NOISE)
        yield np.asarray(np.clip(noisy, 0, 255), np.uint8), round(index / FPS * 1e9)


def series(found: list[Landmarks], group: Group) -> FloatArray:
    """(N, P, 3) in shoulder widths."""
    return np.stack([group(each) for each in found]).astype(np.float64) / unit(found)


def still_noise(found: list[Landmarks]) -> dict[str, tuple[float, float, float]]:
    """std in the picture plane, std in depth, correlation from one frame to the next (at 30 frames/s)."""
    result = {}
    settled = found[round(SETTLE_S * FPS) :]
    for name, group in GROUPS.items():
        values = series(settled, group)
        values = values[:, ~np.isnan(values[..., 0]).any(axis=0)]
        if values.size == 0:
            continue
        values = values - values.mean(axis=0)
        plane = values[..., :2]
        correlation = (plane[1:] * plane[:-1]).mean() / max((plane**2).mean(), 1e-12)
        result[name] = (float(plane.std(axis=0).mean()), float(values[..., 2].std(axis=0).mean()), float(correlation))
    return result


def quiet_noise(found: list[Landmarks]) -> dict[str, float]:
    """std around a straight line over the quietest half-second parts of real footage: noise and life together."""
    result = {}
    for name, group in GROUPS.items():
        values = series(found, group)[..., :2]
        spread = []
        time = np.arange(HALF_SECOND) - (HALF_SECOND - 1) / 2
        for start in range(0, len(values) - HALF_SECOND, HALF_SECOND // 3):
            part = values[start : start + HALF_SECOND]
            part = part[:, ~np.isnan(part[..., 0]).any(axis=0)]
            part = part - part.mean(axis=0)
            slope = np.tensordot(time, part, axes=(0, 0)) / (time**2).sum()
            spread.extend((part - time[:, None, None] * slope).std(axis=0).mean(axis=-1))
        if spread:
            spread.sort()
            result[name] = float(np.mean(spread[: max(1, round(QUIET * len(spread)))]))
    return result


def response(picture: UInt8Array, pixels: float, frequency: float) -> dict[str, tuple[float, float]]:
    """Gain and delay (ms) with which a sideways sine comes out."""
    swing = AMPLITUDE * pixels
    found = track(repeated(picture, MOVED_S + SETTLE_S, lambda time: swing * np.sin(2 * np.pi * frequency * time)))
    first = round(SETTLE_S * FPS)
    angle = 2 * np.pi * frequency * np.arange(first, len(found)) / FPS
    basis = np.stack([np.sin(angle), np.cos(angle), np.ones_like(angle)], axis=1)
    result = {}
    for name, group in GROUPS.items():
        values = series(found[first:], group)[..., 0]
        values = values[:, ~np.isnan(values).any(axis=0)]
        if values.size:
            sine, cosine = np.linalg.lstsq(basis, values, rcond=None)[0][:2].mean(axis=1)
            lag = np.arctan2(-cosine, sine) % (2 * np.pi)
            lag = lag - 2 * np.pi if lag > 1.5 * np.pi else lag
            result[name] = (float(np.hypot(sine, cosine) / AMPLITUDE), float(lag / (2 * np.pi * frequency) * 1e3))
    return result


def losses(seen: list[bool]) -> str:
    """Share of frames lost, and how long a loss lasts."""
    runs = [len(list(run)) for value, run in groupby(seen) if not value]
    share = 1 - float(np.mean(seen))
    return f"{share:.0%}" + (f" ({len(runs)} times, median {np.median(runs) / FPS:.2f} s)" if runs else "")


def row(*cells: object) -> None:
    print("| " + " | ".join(str(cell) for cell in cells) + " |")


def print_noise(shots: list[tuple[UInt8Array, int]], found: list[Landmarks]) -> None:
    """A row for each group of points: what a still picture, quiet footage and a made-up motion show."""
    picture = shots[len(shots) // 2][0]
    still = still_noise(track(repeated(picture, STILL_S + SETTLE_S, lambda _: 0.0)))
    quiet = quiet_noise(found)
    moved = {hertz: response(picture, unit(found), hertz) for hertz in FREQUENCIES_HZ}
    at = [f"gain, delay at {hertz:g} Hz" for hertz in FREQUENCIES_HZ]
    row("points", "still picture: std", "depth std", "frame to frame", "quiet footage: std", *at)
    row(*["---"] * (5 + len(FREQUENCIES_HZ)))
    for name, (plane, depth, correlation) in still.items():
        gains = (
            "{:.2f}, {:.0f} ms".format(*moved[hertz][name]) if name in moved[hertz] else "" for hertz in FREQUENCIES_HZ
        )
        calm = f"{quiet[name]:.4f}" if name in quiet else ""
        row(name, f"{plane:.4f}", f"{depth:.4f}", f"{correlation:.2f}", calm, *gains)


def print_losses(found: list[Landmarks]) -> None:
    """How often each part is lost, and how visible legs are."""
    row("person found", "left hand lost", "right hand lost", "face lost", "visibility of knees", "of feet")
    row(*["---"] * 6)
    knees, feet = (np.array([each.pose[points, 3] for each in found]) for points in (slice(25, 27), slice(27, 33)))
    spans = (" / ".join(f"{value:.2f}" for value in np.percentile(values, [5, 50, 95])) for values in (knees, feet))
    row(
        f"{np.mean([each.person for each in found]):.0%}",
        *(losses([not np.isnan(each.hands[side, 0, 0]) for each in found]) for side in (0, 1)),
        losses([not np.isnan(each.face[0, 0]) for each in found]),
        *spans,
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.tracker_noise", description=__doc__)
    parser.add_argument("recordings", nargs="+", type=Path, metavar="FILE")
    for path in parser.parse_args().recordings:
        shots = list(frames(path))
        found = track(iter(shots))
        size = f"{len(found)} frames of {found[0].width}x{found[0].height}"
        print(f"\n## {path.name}\n\n{size}, {unit(found):.0f} pixels between the shoulders\n")
        print_noise(shots, found)
        print()
        print_losses(found)


if __name__ == "__main__":
    main()
