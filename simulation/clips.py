"""A small data set in MA-52's format of simulated people: trimmed clips of landmark drawings, and their lists."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from engines.common.new_files import check_empty_folder
from simulation.session import Session, Settings, simulate
from simulation.windows import UInt8Array, draw, events_of

FPS = 30.0
SESSION_S = 8.0
MARGIN_S = 0.1  # of a clip around its action
LONGEST_S = 4.0  # of a clip
SPLITS = {"train": "train", "val": "validation"}  # of the lists → of the people
TRIES = 50  # sessions until one shows an action


def write_clips(folder: Path, counts: dict[str, int], actions: Sequence[int], size: int, seed: int) -> int:
    """Write `counts` clips of each action and split, with `train_list.txt` and `val_list.txt`; the number of clips.

    Raises:
        BadInput: the folder holds something or cannot be written.
    """
    check_empty_folder(folder, "--out")
    folder.mkdir(parents=True, exist_ok=True)
    written = 0
    for split, count in counts.items():
        lines = []
        for index in actions:
            for number in range(count):
                name = f"{split}_{index:02d}_{number:03d}.mp4"
                _write_video(folder / name, _clip(index, SPLITS[split], seed + number * TRIES, size))
                lines.append(f"{name} {index}")
        (folder / f"{split}_list.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        written += len(lines)
    return written


def _clip(index: int, split: str, seed: int, size: int) -> UInt8Array:
    """Drawings (T, S, S, 3) of one action from its beginning to its end."""
    for one in range(seed, seed + TRIES):
        session = simulate(one, SESSION_S, FPS, Settings(split=split, actions=(index,), framing="whole body"))
        event = next((event for event in events_of(session) if event[0] == index), None)
        if event is not None:
            return draw(session, _pictures(session, event[1], event[2]), size)
    raise ValueError(f"no simulated session shows action {index}")


def _pictures(session: Session, onset_s: float, offset_s: float) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    end_s = min(offset_s + MARGIN_S, onset_s + LONGEST_S)
    first, last = (round(one * FPS) for one in (onset_s - MARGIN_S, end_s))
    return np.arange(max(first, 0), min(last, len(session)), dtype=np.int64)


def _write_video(path: Path, drawings: UInt8Array) -> None:
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=Fraction(FPS), options={"crf": "18", "threads": "1"})
        stream.width = stream.height = drawings.shape[1]
        stream.pix_fmt = "yuv420p"
        for drawing in drawings:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(drawing, format="rgb24")))
        container.mux(stream.encode(None))
