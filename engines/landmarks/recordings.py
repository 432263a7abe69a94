"""Landmark sequences of real people with weak labels, from .npz files: usually one file a person.

Arrays: frames int16 (N, 498) as in `engines.landmarks.tracks`; first int64 (S + 1,), where sequences begin and end in
`frames`; word (S,); labels (S,), MA-52 actions as "index:name" joined by ";" (any of them is right), or "none ...";
confidence (S,); strict float32 (S,), share of frames in which a hand is very near, NaN where not measured; lead int16
(S,), frames at the beginning that still show something else; rest int16 (S, 2), the longest run [from, to) without any
hand; aspect float32 (S,), width / height of the picture.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engines.common.errors import BadInput
from engines.landmarks.tracks import VALUES, Int16Array

ASSUMED_FPS = 15.0  # of the files, which do not say: between 8 and 30
ACTIONS = 52  # of MA-52
GESTURES = 23  # illustrative gestures: what any moving hand is, if nothing else
FACE_ACTIONS = frozenset(range(40, 48))
LEAST_STRICT = 0.15  # of face actions: below it, the hand may be in the air before the face
ARRAYS = ("frames", "first", "word", "labels", "confidence", "strict", "lead", "rest", "aspect")


@dataclass(frozen=True, slots=True, eq=False)
class RealSequence:
    """One sequence, without what `lead` says is another take."""

    word: str
    labels: tuple[int, ...]  # any of these actions is right; empty: idle
    confidence: str
    strict: float
    frames: Int16Array  # (T, VALUES)
    rest: tuple[int, int]  # frames [from, to) without hands
    aspect: float

    @property
    def likely(self) -> tuple[int, ...]:
        """Its labels, and gestures where a hand may be in the air before the face."""
        if FACE_ACTIONS.intersection(self.labels) and not self.strict >= LEAST_STRICT:
            return tuple(sorted({*self.labels, GESTURES}))
        return self.labels

    @property
    def counted(self) -> bool:
        """Whether its labels are sure enough to score a model by."""
        if self.confidence != "high" or not self.labels or self.labels == (GESTURES,):
            return False
        return not FACE_ACTIONS.intersection(self.labels) or self.strict >= LEAST_STRICT

    @property
    def idle(self) -> bool:
        """Whether nothing happens in it."""
        return self.confidence == "high" and not self.labels


def load_sequences(path: Path) -> list[RealSequence]:
    """All sequences of a file that have a frame.

    Raises:
        BadInput: no such file, or not in this format.
    """
    wanted = "an .npz file of landmark sequences"
    try:
        with np.load(path, allow_pickle=False) as archive:
            missing = [name for name in ARRAYS if name not in archive.files]
            if missing:
                raise BadInput(wanted, f"{path} without {', '.join(missing)}", "check the file")
            arrays = {name: archive[name] for name in ARRAYS}
    except OSError as error:
        raise BadInput(wanted, f"{path} ({error.strerror or 'unreadable'})", "check the path") from None
    except (ValueError, zipfile.BadZipFile, EOFError) as error:
        raise BadInput(wanted, f"{path}: {' '.join(str(error).split())}", "check the file") from None
    _check(path, arrays)
    first, lead, rest = arrays["first"], arrays["lead"], arrays["rest"]
    sequences = []
    for at in range(len(first) - 1):
        skipped = int(lead[at])
        frames = arrays["frames"][first[at] + skipped : first[at + 1]]
        if len(frames):
            begin, end = (int(np.clip(edge - skipped, 0, len(frames))) for edge in rest[at])
            sequences.append(
                RealSequence(
                    str(arrays["word"][at]),
                    _labels(path, str(arrays["labels"][at])),
                    str(arrays["confidence"][at]),
                    float(arrays["strict"][at]),
                    frames,
                    (begin, end),
                    float(arrays["aspect"][at]),
                )
            )
    return sequences


def _check(path: Path, arrays: dict[str, np.ndarray]) -> None:
    frames, first = arrays["frames"], arrays["first"]
    count = len(first) - 1
    fits = frames.dtype == np.int16 and frames.ndim == 2 and frames.shape[1] == VALUES and count >= 0
    fits = fits and all(len(arrays[name]) == count for name in ARRAYS[2:]) and arrays["rest"].shape == (count, 2)
    if not fits or (np.diff(first) < 0).any() or first[0] < 0 or first[-1] > len(frames):
        raise BadInput(
            f"int16 frames (N, {VALUES}) and one entry of each array a sequence",
            f"{path} with frames {frames.dtype} {frames.shape}, {count} sequences",
            "check the file",
        )


def _labels(path: Path, text: str) -> tuple[int, ...]:
    if not text or text.startswith("none"):
        return ()
    try:
        labels = tuple(int(part.split(":")[0]) for part in text.split(";"))
    except ValueError:
        labels = (-1,)
    if not all(0 <= label < ACTIONS for label in labels):
        raise BadInput("labels as index:name joined by ;", f"{text!r} in {path}", "check the file")
    return labels
