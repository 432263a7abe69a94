"""The types that flow through the live path. Frozen; shape, dtype and range are checked when made or decoded.

Every time is an int in nanoseconds. `captured_ns` and all stage stamps are on the analysis machine's monotonic clock;
`media_ns` and everything derived from it (windows, events) is on the source's own clock: presentation time for
files, grab time for cameras.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, get_args

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta

from engines.expressions import NUMBERS
from engines.landmarks.steps import CHANNELS, POINTS
from engines.taxonomy import ACTIONS
from events.types import Stamps, check_array
from realtime.bounded_fields import MAX_SIDE, Count, Id, Time
from realtime.clock_offset import ClockReading

UInt8Array = npt.NDArray[np.uint8]
Int64Array = npt.NDArray[np.int64]
Float32Array = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
AnyArray = npt.NDArray[Any]

BodyPart = Literal["face", "hands", "legs", "feet"]
BODY_PARTS_SEEN: tuple[BodyPart, ...] = get_args(BodyPart)
MOST_PEOPLE = 2  # that are told apart: more count as two
MOST_CODES = 16  # of a sighting
MOST_DETAIL = 1000  # characters
HEARTBEAT_S = 0.5


def _check_image(name: str, image: UInt8Array, square: bool) -> None:
    ok = isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
    if ok:
        height, width = image.shape[:2]
        ok = 0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE and (height == width or not square)
    if not ok:
        shape, dtype = getattr(image, "shape", "?"), getattr(image, "dtype", type(image).__name__)
        want = "(S, S, 3)" if square else "(h, w, 3)"
        raise ValueError(f"{name}: expected uint8 {want} with sides up to {MAX_SIDE}, got {dtype} {shape}")


def _check_numbers(name: str, numbers: Float32Array, shape: tuple[int, ...]) -> None:
    check_array(name, numbers, np.float32, shape)
    if not np.isfinite(numbers).all():
        raise ValueError(f"{name}: expected finite values")


class Framing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the view cut the person out of the picture; the overlay warns from it."""

    seen: float = 1.0  # share of the source picture's area inside the crop, 0..1
    magnified: float = 1.0  # crop pixels per source pixel; above 1 the source is smaller than the model's input
    person_found: bool | None = None  # None: this view does not look for a person
    unseen: tuple[BodyPart, ...] = ()  # parts that have been out of view for a while
    people: int | None = None  # in view, MOST_PEOPLE for more; None: this view does not count them
    followed_ns: int | None = None  # how long the person shown has been followed; None: nobody is found

    def __post_init__(self) -> None:
        if not set(self.unseen) <= set(BODY_PARTS_SEEN):
            raise ValueError(f"framing: expected unseen parts among {', '.join(BODY_PARTS_SEEN)}, got {self.unseen}")
        if not 0.0 <= self.seen <= 1.0 or not self.magnified > 0.0:
            raise ValueError(f"framing: expected seen in 0..1 and magnified > 0, got {self.seen}, {self.magnified}")
        if not 0 <= (self.people or 0) <= MOST_PEOPLE or (self.followed_ns or 0) < 0:
            raise ValueError(
                f"framing: expected 0..{MOST_PEOPLE} people, followed for 0 ns or more, got "
                f"{self.people}, {self.followed_ns}"
            )


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture as engines may see it, as an image, as landmarks or both, with its true times."""

    camera_id: int
    frame_id: int
    captured_ns: int  # monotonic clock, when the source handed the image over
    media_ns: int  # the source's own clock: presentation time (files) or grab time (cameras)
    body: UInt8Array | None  # (S, S, 3) RGB
    face: UInt8Array | None = None  # (S, S, 3) RGB
    preview: UInt8Array | None = None  # (h, w, 3) RGB, small: what the model sees, for people
    framing: Framing = field(default_factory=Framing)
    read_ns: int = 0  # monotonic clock, when the capture loop had the pixels; 0: not stamped
    viewed_ns: int = 0  # monotonic clock, when the body image was made; 0: not stamped
    faced_ns: int = 0  # monotonic clock, when the face was read, the crop of it or its numbers; 0: not stamped
    generation: int = 0  # how often this camera's process had been restarted
    landmarks: Float32Array | None = None  # (POINTS, CHANNELS) as from `engines.landmarks.steps.pack`
    expression: Float32Array | None = None  # (NUMBERS,) of the face, see `engines.expressions`; None: no fresh face

    @property
    def stamps(self) -> tuple[int, int, int, int]:
        """Captured, read, viewed, faced."""
        return self.captured_ns, self.read_ns, self.viewed_ns, self.faced_ns or self.viewed_ns

    def __post_init__(self) -> None:
        if min(self.camera_id, self.frame_id, self.captured_ns) < 0:
            raise ValueError(
                f"frame: ids and captured_ns must not be negative: {self.camera_id}, {self.frame_id}, "
                f"{self.captured_ns}"
            )
        if self.body is None and self.landmarks is None:
            raise ValueError("frame: expected a body image or landmarks")
        for name in ("body", "face"):
            if (image := getattr(self, name)) is not None:
                _check_image(name, image, square=True)
        if self.preview is not None:
            _check_image("preview", self.preview, square=False)
        if self.landmarks is not None:
            _check_numbers("landmarks", self.landmarks, (POINTS, CHANNELS))
        if self.expression is not None:
            _check_numbers("expression", self.expression, (NUMBERS,))


class CaptureState(enum.Enum):
    """What a capture process reports of its source."""

    OPENING = "opening"
    STREAMING = "streaming"
    RECONNECTING = "reconnecting"
    ENDED = "ended"  # the recording is over: every frame has been sent
    FAILED = "failed"  # it will not come back; `detail` says why


class Recording(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a file says of itself, and which of it is read."""

    begins_ns: Time  # the file's beginning, of sound or picture, on the media clock
    width: Count  # square pixels, before rotation
    height: Count  # square pixels, before rotation
    fps: float | None  # as declared, or as given with --fps; None where neither
    streams: Count  # video streams in the file, cover pictures aside
    stream: Count  # the one that is read, from 0


class WireMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind"):
    """What a capture process sends beside its frames."""

    camera_id: Id
    generation: Id  # how often this camera's process has been restarted


class CaptureStatus(WireMessage, frozen=True, tag="status"):
    """The state of a capture process and its running totals.

    Also the heartbeat: one is sent at every change and at least every `HEARTBEAT_S` while no frame is due.
    """

    state: CaptureState
    detail: Annotated[str, Meta(max_length=MOST_DETAIL)] = ""
    bad_input: bool = False  # the user can fix what failed (exit code 2)
    grabbed: Count = 0  # images the source handed over
    sent: Count = 0  # frames pushed
    dropped: Annotated[dict[Annotated[str, Meta(max_length=40)], Count], Meta(max_length=20)] = {}  # cause → frames
    clock: ClockReading | None = None  # the analysis' clock minus its own, where it runs on another machine
    recording: Recording | None = None  # where the source is a file that has been opened
    media_fault: Annotated[str, Meta(max_length=MOST_DETAIL)] = ""  # why nothing more is recorded
    media_left_out: Count = 0  # pictures missing in the recorded video


class Sighting(WireMessage, frozen=True, tag="sighting"):
    """The screen codes that were read in a picture, none where there are none."""

    captured_ns: Count  # of the picture: its frame has the same
    codes: Annotated[tuple[Id, ...], Meta(max_length=MOST_CODES)]


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """`T` frames spread evenly over the `end_ns - start_ns` up to `end_ns` (media clock)."""

    camera_id: int
    index: int  # k-th due window of the camera: end_ns = its first frame + span + k * hop
    start_ns: int
    end_ns: int
    frames: AnyArray  # uint8 (T, S, S, 3) RGB; of a `LandmarkWindow` float32 (T, POINTS, CHANNELS)
    frame_ids: Int64Array  # (T,)
    times_ns: Int64Array  # (T,) media times of the frames chosen
    largest_gap_ns: int  # longest time inside the window without a new frame
    stamps: Stamps
    recorded_end_ns: int | None = field(default=None, kw_only=True)  # before end_ns where the last picture is held

    def __post_init__(self) -> None:
        self._check_frames()
        length = len(self.frames)
        check_array("frame_ids", self.frame_ids, np.int64, (length,))
        check_array("times_ns", self.times_ns, np.int64, (length,))
        if np.any(np.diff(self.times_ns) < 0) or not self.start_ns < self.end_ns:
            raise ValueError("window: times must not decrease and start must precede end")
        if self.recorded_end_ns is not None and not self.start_ns < self.recorded_end_ns <= self.end_ns:
            raise ValueError(
                f"window: expected a recorded end in {self.start_ns}..{self.end_ns}, got {self.recorded_end_ns}"
            )

    def _check_frames(self) -> None:
        if self.frames.ndim != 4:
            raise ValueError(f"window frames: expected (T, S, S, 3), got {self.frames.shape}")
        for image in self.frames:
            _check_image("window frame", image, square=True)


@dataclass(frozen=True, slots=True, eq=False)
class LandmarkWindow(Window):
    """Landmarks of T steps at a fixed rate, the last at `end_ns`; 0 where nothing was found."""

    moments_ns: Int64Array  # (T,) of the steps; `times_ns` and `frame_ids` are of the pictures before them
    seen: BoolArray  # (T,) whether a picture stands for the step
    shown: BoolArray  # (T, 52) actions that the picture can show

    def _check_frames(self) -> None:
        length = len(self.moments_ns)
        check_array("window frames", self.frames, np.float32, (length, POINTS, CHANNELS))
        check_array("seen", self.seen, np.bool_, (length,))
        check_array("shown", self.shown, np.bool_, (length, len(ACTIONS)))


@dataclass(frozen=True, slots=True, eq=False)
class StreamWindow(Window):
    """The T newest frames of a video that a network follows frame by frame; the window before had all but the last."""

    run: int  # the same as of the window before: nothing came between them
    cause: str  # why the run began


@dataclass(frozen=True, slots=True, eq=False)
class EmotionWindow(Window):
    """A longer window for the emotion model, with the face. Where nothing was seen pixels are black, numbers 0.

    T frames of as many landmark steps each, where the model reads these; their frames show none of the body then.
    """

    body_seen: UInt8Array  # (T,) 1: a person was there; 0: nobody
    faces: UInt8Array  # (T, F, F, 3) RGB
    face_seen: UInt8Array  # (T,) 1: a fresh picture of the face; 0: none
    expressions: Float32Array  # (T, NUMBERS)
    expression_seen: UInt8Array  # (T,) 1: fresh expression numbers; 0: none
    landmarks: Float32Array  # (steps, POINTS, CHANNELS), as of a `LandmarkWindow`; no steps where the model reads none

    def __post_init__(self) -> None:
        Window.__post_init__(self)
        length = len(self.frames)
        check_array("body_seen", self.body_seen, np.uint8, (length,))
        check_array("face_seen", self.face_seen, np.uint8, (length,))
        check_array("expressions", self.expressions, np.float32, (length, NUMBERS))
        check_array("expression_seen", self.expression_seen, np.uint8, (length,))
        check_array("landmarks", self.landmarks, np.float32, (len(self.landmarks), POINTS, CHANNELS))
        if self.faces.ndim != 4 or len(self.faces) != length:
            raise ValueError(f"faces: expected ({length}, F, F, 3), got {self.faces.shape}")
        for image in self.faces:
            _check_image("face", image, square=True)
