"""What the overlay shows: one frozen snapshot, made by the session and drawn whenever the screen is due."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from engines.taxonomy import ACTIONS, Action
from events.types import ActionEvent, EventState, Float32Array
from realtime.messages import CaptureState, UInt8Array


@dataclass(frozen=True, slots=True)
class TopAction:
    """One action with its newest posterior, and the state of its event where one runs."""

    action: Action
    posterior: float  # 0..1
    running: EventState | None = None  # provisional or confirmed


def top_actions(posteriors: Float32Array, running: Mapping[int, EventState], count: int = 10) -> tuple[TopAction, ...]:
    """The `count` likeliest of (52,) posteriors, likeliest first; actions that run come in whatever their posterior."""
    order = np.argsort(-posteriors, kind="stable").tolist()
    rank = {index: place for place, index in enumerate(order)}
    chosen = sorted(order, key=lambda index: (index not in running, rank[index]))[:count]
    return tuple(
        TopAction(ACTIONS[index], float(posteriors[index]), running.get(index))
        for index in sorted(chosen, key=rank.__getitem__)
    )


@dataclass(frozen=True, slots=True)
class EmotionShown:
    """The rolling estimate of the five emotions, in the order of `EMOTIONS`; as made, nothing is known yet."""

    shares: tuple[float, ...] = ()  # (5,) of the last seconds
    intervals: tuple[tuple[float, float], ...] = ()  # (5, 2) 95 % credible
    evidence_s: float = 0.0
    face_visible: float = 0.0  # 0..1
    abstains: bool = True
    neutral: float | None = None  # 0..1 where that is the answer
    history: tuple[tuple[float, tuple[float, ...] | None], ...] = ()  # (seconds ago, shares or abstained), oldest first
    true: str = ""  # what a simulated person feels


@dataclass(frozen=True, slots=True)
class TrueEvent:
    """One action of a simulated interview; seconds of the session clock."""

    action: Action
    onset_s: float
    offset_s: float


@dataclass(frozen=True, slots=True, eq=False)
class OverlayState:
    """One moment of a session. Any text may come from outside: it is shown as it is, control characters blanked."""

    model: str
    engine: str  # the runtime, and where it runs
    source: str
    trained_on: str = ""
    untrained: bool = False  # draws the red line
    replay: bool = False  # a recording, not a live source
    speed: float | None = 1.0  # of a replay: media seconds per second; None: as fast as the engine
    simulated: bool = False  # a scripted person
    elapsed_s: float = 0.0  # session clock
    capture: CaptureState = CaptureState.STREAMING
    capture_detail: str = ""
    framing: tuple[str, ...] = ()  # why the framing does not suit the model; each draws a red line
    picture: UInt8Array | None = None  # (h, w, 3) RGB, what the model sees
    show_picture: bool = True  # off: its room is given to the rest
    top: tuple[TopAction, ...] = ()  # likeliest first
    lowered: tuple[Action, ...] = ()  # said of this person all along: their posteriors are lowered
    events: tuple[ActionEvent, ...] = ()  # newest report first; only the newest of an event is shown
    truth: tuple[TrueEvent, ...] = ()  # of a simulated interview, in order of onset
    session_start_ns: int = 0  # media time of the session's first frame: event times count from it
    latency: Mapping[str, tuple[float, float] | None] = field(default_factory=dict)  # stage → p50, p99 in ms
    capture_fps: float | None = None
    windows_per_s: float | None = None
    dropped: Mapping[str, int] = field(default_factory=dict)  # cause → frames
    skipped: Mapping[str, int] = field(default_factory=dict)  # cause → windows
    restarts: int = 0  # of the capture process
    messages: tuple[str, ...] = ()  # newest last
    emotion: EmotionShown | None = None  # None: not estimated
    baseline: str = ""  # how the person's rest is being measured, or what it changed
