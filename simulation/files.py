"""A session as files: a video, what a tracker reports, and the ground truth."""

from __future__ import annotations

import json
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from engines.common.errors import BadInput
from engines.landmarks.drawing import LandmarkDrawing
from simulation.session import Session

VIDEO, LANDMARKS, TRUTH, INTERVIEW = "interview.mp4", "landmarks.npz", "truth.jsonl", "interview.json"
VIDEO_SIDE = 448
# x264's lookahead decides from memory that it never wrote: the same pictures would not always give the same bytes.
_SAME_BYTES = "threads=1:rc-lookahead=0:no-mbtree=1:weightp=0:bframes=0:scenecut=0"
_ENCODER = {"preset": "veryfast", "crf": "20", "threads": "1", "x264-params": _SAME_BYTES}


def write_session(session: Session, folder: Path, made: dict[str, int | float | str]) -> None:
    """interview.json, landmarks.npz, truth.jsonl and interview.mp4 in a new or empty folder.

    made: how the session was made, kept in interview.json. The same session gives the same bytes.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput("a new or empty folder", str(folder), "give another with --out")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / INTERVIEW).write_text(json.dumps(describe(session, made), indent=1) + "\n", encoding="utf-8")
    (folder / TRUTH).write_text("".join(f"{line}\n" for line in truth_lines(session)), encoding="utf-8")
    np.savez(
        folder / LANDMARKS,
        times_ns=session.times_ns,
        width=session.camera.width,
        height=session.camera.height,
        pose=session.pose,
        hands=session.hands,
        face=session.face,
    )
    write_video(session, folder / VIDEO)


def describe(session: Session, made: dict[str, int | float | str]) -> dict[str, object]:
    """The subject, the camera and the ground truth, times in seconds."""
    subject = {
        name: round(value, 4) if isinstance(value, float) else value for name, value in asdict(session.subject).items()
    }
    return {
        "made": made,
        "note": "simulated: no person was recorded",
        "fps": session.fps,
        "frames": len(session),
        "subject": subject,
        "camera": asdict(session.camera),
        "truth": [
            {
                "action": one.action.name,
                "index": one.index,
                "body_part": one.action.body_part,
                "onset_s": round(one.onset_s, 3),
                "offset_s": round(one.offset_s, 3),
                "hands": [("left", "right")[hand] for hand in one.hands],
                "legs": [("left", "right")[leg] for leg in one.legs],
                "seen": round(one.seen, 3),
            }
            for one in session.truth
        ],
    }


def truth_lines(session: Session) -> list[str]:
    """The ground truth as the event stream would report it: one ended event a line, in order of offsets."""
    numbered = sorted(enumerate(session.truth, 1), key=lambda pair: (pair[1].offset_s, pair[0]))
    return [
        json.dumps(
            {
                "kind": "action",
                "id": number,
                "state": "ended",
                "action": one.action.name,
                "index": one.index,
                "body_part": one.action.body_part,
                "onset_s": round(one.onset_s, 3),
                "offset_s": round(one.offset_s, 3),
                "confidence": 1.0,
            },
            separators=(",", ":"),
        )
        for number, one in numbered
    ]


def write_video(session: Session, path: Path) -> None:
    """The landmark drawing as H.264, square, constant frame rate."""
    drawing = LandmarkDrawing(VIDEO_SIDE)
    rate = Fraction(session.fps).limit_denominator(1000)
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=rate, options=_ENCODER)
        stream.width, stream.height, stream.pix_fmt = VIDEO_SIDE, VIDEO_SIDE, "yuv420p"
        stream.time_base = 1 / rate
        for index in range(len(session)):
            frame = av.VideoFrame.from_ndarray(drawing.draw(session.landmarks(index)), format="rgb24")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
