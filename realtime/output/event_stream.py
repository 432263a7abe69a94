"""The event stream: one JSON object a line, the same to every output. The structs below are its schema."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from engines.taxonomy import EMOTIONS
from events.types import ActionEvent
from realtime.clock import NS_PER_MS, NS_PER_S
from realtime.output.writer import Output, OutputWriter


class DelayParts(msgspec.Struct, frozen=True):
    """Milliseconds between onset and report; queue and compute are null for recordings (see messages.Delay)."""

    window: float
    queue: float | None
    compute: float | None
    confirmation: float


class ActionLine(msgspec.Struct, frozen=True, tag_field="kind", tag="action"):
    """One state change of one event; times in seconds since the session's first frame."""

    id: int
    camera: int
    state: str
    action: str | None  # null: only the body part is known
    index: int | None
    body_part: str
    onset_s: float
    offset_s: float | None
    confidence: float
    emitted_s: float
    delay_ms: DelayParts
    # of models that score body parts:
    candidates: dict[str, float] | msgspec.UnsetType = msgspec.UNSET  # the part's likeliest actions → probability
    posture: bool | msgspec.UnsetType = msgspec.UNSET  # true: it ended because it lasted too long for a micro-action


class EmotionLine(msgspec.Struct, frozen=True, tag_field="kind", tag="emotion"):
    """The rolling estimate of what the expression shows; `probs` and `interval` are null where it abstains."""

    camera: int
    time_s: float
    probs: dict[str, float] | None  # emotion → share of the last seconds
    interval: dict[str, tuple[float, float]] | None  # 95 % credible
    evidence_s: float
    face_visible: float
    abstains: bool


class StretchTotals(msgspec.Struct, frozen=True):
    """Stretches of video for the emotion model; `judged` + Σ `skipped` = `due` once the session is over."""

    due: int
    judged: int
    skipped: dict[str, int]


class OtherClock(msgspec.Struct, frozen=True):
    """This machine's clock minus that of the camera's machine, as last estimated. Every stamp has been corrected."""

    offset: float
    error: float  # the truth is within


class StatsLine(msgspec.Struct, frozen=True, tag_field="kind", tag="stats"):
    """One camera's totals since the start; fps over the last seconds; latency stage → {p50, p99}."""

    camera: int
    time_s: float
    capture_fps: float
    frames: int
    windows_due: int
    windows: int
    dropped: dict[str, int]
    skipped: dict[str, int]
    latency_ms: dict[str, dict[str, float]]
    capture: str
    restarts: int
    refused: dict[str, int] = {}  # connections that did not get in, by cause: of the whole session
    stretches: StretchTotals | None = None  # null without an emotion model
    lines_lost: dict[str, int] = {}  # of this stream, by output: of the whole session
    other_clock_ms: OtherClock | None = None  # null where the camera is this machine's


class RecordingLine(msgspec.Struct, frozen=True, tag_field="kind", tag="recording"):
    """What a camera's recording is, once its first frame has come."""

    camera: int
    source: str
    file_offset_s: float  # add it to a time of this stream to get the file's own, from its beginning
    width: int
    height: int
    fps: float | None
    streams: int
    stream: int


class VisibilityLine(msgspec.Struct, frozen=True, tag_field="kind", tag="visibility"):
    """Who is in view, and what of them, since this moment."""

    camera: int
    time_s: float
    people: int | None  # 0, 1, or 2 for several
    followed_since_s: float | None  # null where nobody is, or where nobody is looked for among others
    out_of_view: tuple[str, ...]  # parts
    unreliable: dict[str, str]  # part out of view → the actions that cannot be told without it


class SummaryLine(msgspec.Struct, frozen=True, tag_field="kind", tag="summary"):
    """What of one camera was judged; `judged` + `baseline` + Σ `skipped` = `windows_due`."""

    camera: int
    recorded_s: float  # from the first picture to the last, or to the end of a live session
    windows_due: int
    judged: int
    baseline: int  # windows that the person's rest was measured on
    skipped: dict[str, int]
    nobody_s: float | None  # null where the view does not look for people
    one_s: float | None
    several_s: float | None
    no_picture_s: float
    out_of_view_s: dict[str, float] | None  # part → seconds, while somebody was in view; null: not looked for
    unreliable: dict[str, str]  # part → the actions that could not be told while it was out of view


class SessionLine(msgspec.Struct, frozen=True, tag_field="kind", tag="session"):
    """The session, or the source of one of its cameras, began, changed or ended."""

    state: str  # started, capture, baseline, record, refused, ended, stopped, failed
    model: str
    engine: str
    source: str
    detail: str = ""
    camera: int | None = None  # null: the session as a whole
    trained_on: str | msgspec.UnsetType = msgspec.UNSET  # in the first line alone, as is the consent
    consent: str | msgspec.UnsetType | None = msgspec.UNSET


FloatArray = npt.NDArray[np.float64]
Line = ActionLine | EmotionLine | StatsLine | RecordingLine | VisibilityLine | SummaryLine | SessionLine


def _seconds(ns: int) -> float:
    return round(ns / NS_PER_S, 3)


def _ms(ns: int) -> float:
    return round(ns / NS_PER_MS, 3)


def action_line(event: ActionEvent, session_start_ns: int) -> ActionLine:
    """An event as it is reported; `session_start_ns` is the media time of the session's first frame."""
    delay = event.delay
    return ActionLine(
        id=event.id,
        camera=event.camera_id,
        state=event.state.value,
        action=event.action.name if event.action else None,
        index=event.action.index if event.action else None,
        body_part=event.body_part,
        onset_s=_seconds(event.onset_ns - session_start_ns),
        offset_s=None if event.offset_ns is None else _seconds(event.offset_ns - session_start_ns),
        confidence=round(event.confidence, 4),
        emitted_s=_seconds(event.emitted_ns - session_start_ns),
        delay_ms=DelayParts(
            window=_ms(delay.window_ns),
            queue=None if delay.queue_ns is None else _ms(delay.queue_ns),
            compute=None if delay.compute_ns is None else _ms(delay.compute_ns),
            confirmation=_ms(delay.confirmation_ns),
        ),
        candidates={one.action.name: round(one.probability, 4) for one in event.candidates} or msgspec.UNSET,
        posture=event.posture or msgspec.UNSET,
    )


def emotion_line(
    camera_id: int,
    time_ns: int,
    probs: Sequence[float] | FloatArray,
    interval: FloatArray,
    evidence_s: float,
    face_visible: float,
    abstains: bool,
) -> EmotionLine:
    """An estimate as it is reported: (5,) probs, (5, 2) interval; `time_ns` since the session's first frame."""
    named = None if abstains else {name: round(float(value), 4) for name, value in zip(EMOTIONS, probs, strict=True)}
    between = (
        None
        if abstains
        else {
            name: (round(float(low), 4), round(float(high), 4))
            for name, (low, high) in zip(EMOTIONS, interval, strict=True)
        }
    )
    return EmotionLine(
        camera_id, _seconds(time_ns), named, between, round(evidence_s, 3), round(face_visible, 3), abstains
    )


class EventStream:
    """Writes each line once to every output, in one order; safe to call from several threads, and never waits."""

    def __init__(self, outputs: Sequence[Output] = ()) -> None:
        self._writers = [OutputWriter(output) for output in outputs]
        self._encoder = msgspec.json.Encoder()
        self._lock = threading.Lock()

    def add(self, output: Output) -> None:
        """One more, which is the stream's to close from here on."""
        with self._lock:
            self._writers.append(OutputWriter(output))

    def write(self, line: Line) -> None:
        """Hand over a line; outputs that are slow get it later, or lose it (`lines_lost`)."""
        data = self._encoder.encode(line)
        kind = str(line.__struct_config__.tag)
        with self._lock:
            for writer in self._writers:
                writer.put(kind, data)

    def wait_for_room(self, stop: threading.Event) -> None:
        """Until no output is far behind, or `stop` is set: for who sets the pace of what is written."""
        for writer in self._writers:
            writer.wait_for_room(stop)

    def drain(self, stop: threading.Event) -> None:
        """Until every output has every line, or `stop` is set."""
        for writer in self._writers:
            writer.drain(stop)

    @property
    def lost(self) -> dict[str, str]:
        """Outputs that were given up, and why, one line each."""
        return {
            writer.output.name: writer.given_up
            for writer in self._writers
            if writer.given_up and not writer.reader_left
        }

    @property
    def lines_lost(self) -> dict[str, int]:
        """Lines that an output did not get, by output."""
        return {writer.output.name: writer.lost for writer in self._writers if writer.lost}

    @property
    def reader_left(self) -> bool:
        """An output was closed by whoever read it."""
        return any(writer.reader_left for writer in self._writers)

    @property
    def refused(self) -> dict[str, int]:
        """Connections that did not get in at any output, by cause."""
        return dict(sum((Counter(writer.output.refused) for writer in self._writers), Counter[str]()))

    def close(self, timeout_s: float) -> None:
        """End every output, all together within this time; harmless when they have ended."""
        deadline = time.monotonic() + timeout_s
        for writer in self._writers:
            writer.close(max(0.0, deadline - time.monotonic()))
