"""The lines of the event stream, one JSON object each: the structs below are its schema."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from engines.taxonomy import EMOTIONS
from events.emotion import EmotionEstimate
from events.types import ActionEvent, Float32Array
from realtime.clock import NS_PER_MS, NS_PER_S


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
    neutral: float = 0.0  # 0..1: how neutral the faces of the last seconds were
    newest: dict[str, float] | None = None  # emotion → share in the newest stretch alone, also where it abstains


class WindowTotals(msgspec.Struct, frozen=True):
    """Windows of one model; `judged` + Σ `skipped` = `due` once the session is over."""

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
    emotion_windows: WindowTotals | None = None  # null without an emotion model
    lines_lost: dict[str, int] = {}  # of this stream, by output: of the whole session
    other_clock_ms: OtherClock | None = None  # null where the camera is this machine's
    # of a network that carries states: how often it began anew, by cause
    begun_anew: dict[str, int] | msgspec.UnsetType = msgspec.UNSET


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


class MarkerLine(msgspec.Struct, frozen=True, tag_field="kind", tag="marker"):
    """A moment that a person marked while the session ran: a question, a silence."""

    time_s: float
    label: str
    camera: int | None = None  # null: of the session as a whole


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
    out_of_view_s: dict[str, float] | None  # part → seconds, while a person was in view; null: not looked for
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


Line = ActionLine | EmotionLine | StatsLine | RecordingLine | VisibilityLine | MarkerLine | SummaryLine | SessionLine


@dataclass(frozen=True, slots=True, eq=False)
class Posteriors:
    """The posteriors of one moment: no line of the stream, but for observers that want them."""

    camera: int
    time_s: float  # since the session's first frame
    captured_ns: int  # when that moment was filmed or shown; monotonic clock
    values: Float32Array  # (59,) of the actions, then of the body parts; NaN where the model does not score parts


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


def emotion_line(estimate: EmotionEstimate, session_start_ns: int) -> EmotionLine:
    """An estimate as it is reported; `session_start_ns` is the media time of the session's first frame."""
    probs = _named(estimate.probs)
    interval = {
        name: (round(float(low), 4), round(float(high), 4))
        for name, (low, high) in zip(EMOTIONS, estimate.interval, strict=True)
    }
    return EmotionLine(
        camera=estimate.camera_id,
        time_s=_seconds(estimate.time_ns - session_start_ns),
        probs=None if estimate.abstains else probs,
        interval=None if estimate.abstains else interval,
        evidence_s=round(estimate.evidence_s, 3),
        face_visible=round(estimate.face_visible, 3),
        abstains=estimate.abstains,
        neutral=round(estimate.neutral, 3),
        newest=None if estimate.newest is None else _named(estimate.newest),
    )


def _named(shares: npt.NDArray[np.float64]) -> dict[str, float]:
    return {name: round(float(value), 4) for name, value in zip(EMOTIONS, shares, strict=True)}


encode = msgspec.json.Encoder().encode


def kind_of(line: Line) -> str:
    """Its `kind` in the stream."""
    return str(line.__struct_config__.tag)
