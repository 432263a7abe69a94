"""What goes into the aggregator and what comes out. Frozen; shape, dtype and range are checked when made.

Every time is an int in nanoseconds: stage stamps on the machine's monotonic clock, all others on the media clock.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engines.taxonomy import ACTIONS, BODY_PARTS, Action

Float32Array = npt.NDArray[np.float32]
Int64Array = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


def check_array(name: str, array: npt.NDArray[np.generic], dtype: type[np.generic], shape: tuple[int, ...]) -> None:
    """Raises ValueError unless `array` is of this dtype and shape."""
    if not isinstance(array, np.ndarray) or array.dtype != dtype or array.shape != shape:
        got = f"{getattr(array, 'dtype', type(array).__name__)} {getattr(array, 'shape', '')}"
        raise ValueError(f"{name}: expected {np.dtype(dtype).name} {shape}, got {got}")


@dataclass(frozen=True, slots=True)
class Stamps:
    """When a window passed each stage, monotonic ns; 0 where it has not yet.

    Of its newest frame: captured: grabbed; read: in the hands of the capture loop; viewed: the crop or drawing made;
    faced: its face read; received: off the wire. due: the frame that completed the window was off the wire;
    infer_start, infer_end: the engine; reported: its events were written to every output. infer_end is computed, where
    the engine is this machine's, or answered, where it is an inference server's.
    """

    captured_ns: int = 0
    read_ns: int = 0
    viewed_ns: int = 0
    faced_ns: int = 0
    received_ns: int = 0
    due_ns: int = 0
    infer_start_ns: int = 0
    infer_end_ns: int = 0
    reported_ns: int = 0
    computed_ns: int = 0
    answered_ns: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """The moments that a prediction scores one by one, evenly spaced, the last at the end of the window."""

    times_ns: Int64Array  # (T,) ascending
    seen: BoolArray  # (T,) whether a picture stands for that moment; nothing is decided on others
    moved: BoolArray | None = None  # (T, 7) whether the body part moves around then; None: as if all did

    def __post_init__(self) -> None:
        check_array("seen", self.seen, np.bool_, (len(self.times_ns),))
        if self.moved is not None:
            check_array("moved", self.moved, np.bool_, (len(self.times_ns), len(BODY_PARTS)))
        if len(self.times_ns) < 2 or np.any(np.diff(self.times_ns) <= 0):
            raise ValueError("steps: expected at least two ascending times")


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What the engine said of one window: as a whole, or of each of its T steps."""

    camera_id: int
    index: int  # the window's
    start_ns: int
    end_ns: int
    logits: Float32Array  # (52,) or (T, 52)
    probs: Float32Array  # the same, calibrated: `Bundle.probabilities` of the logits
    embedding: Float32Array | None  # (300,) label-space embedding, where the model has one
    stamps: Stamps
    recorded_end_ns: int | None = None  # before end_ns where the recording ended inside the window
    steps: Steps | None = None  # None: the scores are of the window as a whole
    parts: Float32Array | None = None  # (7,) or (T, 7) calibrated; None: events of this model are of actions alone

    def __post_init__(self) -> None:
        lead = () if self.steps is None else (len(self.steps.times_ns),)
        check_array("logits", self.logits, np.float32, (*lead, len(ACTIONS)))
        _check_probabilities("probs", self.probs, (*lead, len(ACTIONS)))
        if self.parts is not None:
            _check_probabilities("parts", self.parts, (*lead, len(BODY_PARTS)))
        if self.embedding is not None:
            check_array("embedding", self.embedding, np.float32, (300,))
        if self.recorded_end_ns is not None and not self.start_ns < self.recorded_end_ns <= self.end_ns:
            raise ValueError(f"expected a recorded end in {self.start_ns}..{self.end_ns}, got {self.recorded_end_ns}")

    @property
    def judged_until_ns(self) -> int:
        """Where what it speaks of ends: held pictures are no evidence."""
        return self.end_ns if self.recorded_end_ns is None else self.recorded_end_ns


def _check_probabilities(name: str, probs: Float32Array, shape: tuple[int, ...]) -> None:
    check_array(name, probs, np.float32, shape)
    if not np.all(np.isfinite(probs)) or probs.min() < 0 or probs.max() > 1:
        raise ValueError(f"{name}: expected finite values in 0..1")


class EventState(enum.Enum):
    PROVISIONAL = "provisional"
    CONFIRMED = "confirmed"
    REFINED = "refined"  # still confirmed: which action it is has become known
    ENDED = "ended"
    RETRACTED = "retracted"


@dataclass(frozen=True, slots=True)
class Delay:
    """Where the time between an onset and its report went, ns. The four parts add up to `emitted - onset`.

    window: onset to the end of the first window that raised the event; confirmation: from there to the end of the
    window that decided this report; queue: from there to the start of its inference; compute: from there to the report.
    queue and compute are None for recordings: they would measure this machine's run, not the recording, and the same
    recording must give the same report.
    """

    window_ns: int
    confirmation_ns: int
    queue_ns: int | None = None
    compute_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """An action that an event may be."""

    action: Action
    probability: float  # mean calibrated posterior since the event was raised, 0..1


@dataclass(frozen=True, slots=True)
class ActionEvent:
    """One state change of one micro-action event. Times are on the media clock."""

    id: int
    camera_id: int
    state: EventState
    action: Action | None  # None: only the body part is known
    body_part: str
    onset_ns: int
    offset_ns: int | None  # None while the action runs
    confidence: float  # mean calibrated posterior from onset to now, 0..1: of the action, else of the body part
    emitted_ns: int
    delay: Delay
    candidates: tuple[Candidate, ...] = ()  # the likeliest actions of the body part, where the model scores parts
    posture: bool = False  # ended because it lasted too long for a micro-action

    def __post_init__(self) -> None:
        if self.body_part not in BODY_PARTS or (self.action is not None and self.action.body_part != self.body_part):
            raise ValueError(f"event {self.id}: expected the action's body part, got {self.body_part!r}")
        if not 0.0 <= self.confidence <= 1.0:
            raise ValueError(f"confidence: expected 0..1, got {self.confidence}")
        if self.offset_ns is not None and self.offset_ns < self.onset_ns:
            raise ValueError(f"event {self.id}: offset {self.offset_ns} precedes onset {self.onset_ns}")
