"""What every source of pictures looks like, and the two ways it may end."""

from __future__ import annotations

import abc
from collections import Counter
from dataclasses import dataclass
from types import TracebackType

import numpy as np
import numpy.typing as npt

from engines.landmarks.points import Landmarks
from realtime.messages import CaptureState, Recording

UInt8Array = npt.NDArray[np.uint8]

# Why a picture is left out; the causes that `left_out` counts.
DAMAGED = "damaged"  # a damaged or missing packet, or a picture that rests on one
TIME = "time"  # its timestamp is far off those before and after it
OUT_OF_ORDER = "out of order"  # not later than the picture before it
GRABBER = "grabber"  # a newer one came before anyone read it


class EndOfSource(Exception):
    """The recording is over: every picture has been read."""


class SourceLost(Exception):
    """A live source is gone for good; the message says why."""


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """One decoded picture, upright."""

    pixels: UInt8Array  # (H, W, 3) RGB
    frame_id: int  # files: decode index, skipped pictures counted too; live sources: grab counter
    captured_ns: int  # monotonic clock, when it was grabbed or decoded
    media_ns: int  # files: presentation time as stored; live sources: captured_ns
    landmarks: Landmarks | None = None  # where the source knows them: nothing has to be tracked
    people: int | None = None  # in view, where the source knows the landmarks and this, too
    followed_ns: int | None = None  # how long the person has been followed, likewise
    expression: npt.NDArray[np.float32] | None = None  # (NUMBERS,) with these

    def __post_init__(self) -> None:
        if self.pixels.dtype != np.uint8 or self.pixels.ndim != 3 or self.pixels.shape[2] != 3 or not self.pixels.size:
            raise ValueError(f"image: expected uint8 (H, W, 3), got {self.pixels.dtype} {self.pixels.shape}")


class Source(abc.ABC):
    """A place pictures come from. Making one touches nothing; `open` does.

    Attributes:
        live: the newest picture is the only one worth having; never paced.
        state: OPENING, STREAMING, RECONNECTING, ENDED or FAILED.
        detail: one line about the state, for people; never holds credentials.
        recording: what the file says of itself, once it is open; None for other sources.
        pictures: decoded or found damaged so far.
        left_out: those among them that were not handed over, by cause. Once a recording has ended, what was handed over
            and what was left out add up to `pictures`.
    """

    live: bool = False

    def __init__(self) -> None:
        self.state = CaptureState.OPENING
        self.detail = ""
        self.recording: Recording | None = None
        self.pictures = 0
        self.left_out: Counter[str] = Counter()

    @abc.abstractmethod
    def open(self) -> None:
        """Open the file, device or connection.

        Raises:
            BadInput: the user can fix it: no such file, not a video, no such camera, a malformed URL.
        """

    @abc.abstractmethod
    def read(self, timeout_s: float) -> Image | None:
        """The next picture (recordings) or the newest unread one (live sources).

        Returns:
            None when nothing came within `timeout_s`; call again.

        Raises:
            EndOfSource: the recording is over.
            SourceLost: the live source will not come back.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Release everything, within about a second. May be called twice; call it from the thread that reads."""

    def __enter__(self) -> Source:
        try:
            self.open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
