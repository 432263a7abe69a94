"""The stages of the live path, from the grab to the screen, and the stamps between them.

All stamps are on the machine's monotonic clock, which every process of one machine shares.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from events.types import Stamps

Of = Literal["frame", "window"]

STAMPS = tuple(field.name for field in fields(Stamps))  # of a window and its newest frame
FRAME_COLUMNS = ("frame_id", "media_ns", *STAMPS[: STAMPS.index("received_ns") + 1], "windowed_ns")
WINDOW_COLUMNS = ("window", "frame_id", *STAMPS, "shown_ns")
COLUMNS: dict[Of, tuple[str, ...]] = {"frame": FRAME_COLUMNS, "window": WINDOW_COLUMNS}


@dataclass(frozen=True, slots=True)
class Stage:
    """What lies between two stamps of a frame, or of a window and its newest frame."""

    name: str
    of: Of
    start: str  # column
    end: str  # column
    meaning: str
    process: str = ""  # where it happens; empty for sums of stages

    @property
    def columns(self) -> tuple[int, int]:
        """Where start and end are in a row."""
        names = COLUMNS[self.of]
        return names.index(self.start), names.index(self.end)


STAGES = (
    Stage("grab", "frame", "captured_ns", "read_ns", "grabbed, until the capture loop has the pixels", "capture"),
    Stage("view", "frame", "read_ns", "viewed_ns", "crop, or landmarks and their drawing", "capture"),
    Stage(
        "face", "frame", "viewed_ns", "faced_ns", "its crop, or its expression numbers (ten times a second)", "capture"
    ),
    Stage("wire", "frame", "faced_ns", "received_ns", "encoded, through the socket, decoded", "wire"),
    Stage(
        "window", "frame", "received_ns", "windowed_ns", "into the window; windows that fall due are cut", "analysis"
    ),
    Stage(
        "due", "window", "received_ns", "due_ns", "newest frame waits for the one that completes the window", "analysis"
    ),
    Stage("queue", "window", "due_ns", "infer_start_ns", "until the engine is free", "analysis"),
    Stage("compute", "window", "infer_start_ns", "computed_ns", "the engine of this machine", "analysis"),
    Stage(
        "network",
        "window",
        "infer_start_ns",
        "answered_ns",
        "to an inference server and back, its queue and engine included",
        "analysis",
    ),
    Stage("report", "window", "infer_end_ns", "reported_ns", "aggregated, events written to every output", "analysis"),
    Stage("overlay", "window", "reported_ns", "shown_ns", "until the screen was drawn with it", "analysis"),
    Stage("to window", "frame", "captured_ns", "windowed_ns", "grab to window"),
    Stage("to event", "window", "captured_ns", "reported_ns", "grab to report"),
    Stage("to screen", "window", "captured_ns", "shown_ns", "grab to screen"),
)
BY_NAME = {stage.name: stage for stage in STAGES}

# Those that the overlay and the event stream's `stats` lines show.
COARSE = (
    Stage("transport", "window", "captured_ns", "received_ns", "grab to arrival"),
    Stage("wait", "window", "received_ns", "infer_start_ns", "arrival to engine: until due, then in the queue"),
    Stage("compute", "window", "infer_start_ns", "computed_ns", "the engine of this machine"),
    Stage("network", "window", "infer_start_ns", "answered_ns", "an inference server, there and back"),
    Stage("total", "window", "captured_ns", "infer_end_ns", "grab to prediction"),
)
