"""When events are dated, and when they are reported, against the truth of simulated interviews."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from engines.bundle import Bundle
from engines.specs.base import LandmarkSpec
from engines.taxonomy import ACTIONS
from events.offline import JudgedSession, session_reports
from events.scores import LEAST_TIOU, match
from events.settings import AggregatorSettings
from events.types import ActionEvent, EventState
from simulation.interview import NATURAL
from simulation.windows import judge_sessions

WAITS_S = {"latency_s": (0.25, 0.5, 1.9), "lookahead_s": (0.2, 0.35, 0.95)}  # by the setting of the aggregator


class Spread(msgspec.Struct, frozen=True):
    """Median and 90th percentile, ms."""

    p50: float
    p90: float


class Timing(msgspec.Struct, frozen=True):
    """Events of one setting of the wait. Only true events that were found have errors and delays."""

    wait_s: float
    events: int  # true ones
    found: int
    false: int  # detections without a true event; those of a body part alone: without any of that part
    onset_error_ms: Spread | None  # size of the error; None where nothing was found
    onset_bias_ms: float | None  # median of detected minus true
    provisional_delay_ms: Spread | None  # true onset to first report
    confirmed_delay_ms: Spread | None  # true onset to confirmation


class TimingReport(msgspec.Struct, frozen=True):
    """The timings of a model, as a table for people."""

    model: str
    setting: str  # which wait: of windows or of steps
    trained: bool
    sessions: int
    seconds: float  # of each
    settings: list[Timing]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if not self.trained:
            yield Text("UNTRAINED WEIGHTS: these figures mean nothing", "bold red")
        table = Table(
            title=f"{self.model}: {self.sessions} simulated interviews of {self.seconds:g} s, events at "
            f"{LEAST_TIOU:g} overlap; p50 / p90 in ms",
            title_justify="left",
        )
        table.add_column(f"aggregator.{self.setting}")
        for name in ("events", "found", "false", "onset error", "bias", "to provisional", "to confirmed"):
            table.add_column(name, justify="right")
        for one in self.settings:
            bias = "–" if one.onset_bias_ms is None else f"{one.onset_bias_ms:+.0f}"
            table.add_row(
                f"{one.wait_s:g} s",
                str(one.events),
                str(one.found),
                str(one.false),
                _text(one.onset_error_ms),
                bias,
                _text(one.provisional_delay_ms),
                _text(one.confirmed_delay_ms),
            )
        yield table
        yield Text("Delays count from the true onset, in media time; the queue and compute of the machine come on top.")


def _text(spread: Spread | None) -> str:
    return "–" if spread is None else f"{spread.p50:.0f} / {spread.p90:.0f}"


@dataclass(frozen=True, slots=True)
class _Found:
    """A true event that was found, ns."""

    error_ns: int
    provisional_ns: int
    confirmed_ns: int


def event_timing(
    bundle: Bundle,
    sessions: int,
    seconds: float,
    seed: int,
    threads: int = 0,
    report: Callable[[str], None] = lambda _: None,
) -> TimingReport:
    """Judge simulated interviews that nothing was trained on; aggregate them at three settings of the wait.

    Args:
        seconds: length of each session.
        seed: of the first; the others follow.
        report: receives a line about how far it is.

    Raises:
        BadInput: not a model of the landmark view.
    """
    judged = []
    for one in judge_sessions(bundle, "test", NATURAL, sessions, seconds, seed, threads):
        judged.append(one)
        report(f"{len(judged)} of {sessions} interviews judged")
    setting = setting_of(bundle)
    each = [timing(bundle, judged, wait_s) for wait_s in WAITS_S[setting]]
    return TimingReport(bundle.card.name, setting, bundle.card.trained, sessions, seconds, each)


def setting_of(bundle: Bundle) -> str:
    """The aggregator's setting that says how long a moment waits to be judged."""
    return "lookahead_s" if isinstance(bundle.card.network, LandmarkSpec) else "latency_s"


def timing(bundle: Bundle, judged: Sequence[JudgedSession], wait_s: float) -> Timing:
    """Timing of judged sessions at one setting, with the thresholds of the model's card."""
    settings = msgspec.structs.replace(AggregatorSettings(), **{setting_of(bundle): wait_s})
    found: list[_Found] = []
    events = detected = nothing = 0
    for session in judged:
        reported = session_reports(bundle, session, settings)
        events += len(session.events)
        ended = [one for one in reported if one.state is EventState.ENDED]
        detected += sum(one.action is not None for one in ended)
        nothing += sum(one.action is None and not _busy(session, one) for one in ended)
        found += _matched(session, reported)
    return Timing(
        wait_s,
        events,
        len(found),
        detected - len(found) + nothing,
        _spread([abs(one.error_ns) for one in found]),
        round(float(np.median([one.error_ns for one in found])) / 1e6, 1) if found else None,
        _spread([one.provisional_ns for one in found]),
        _spread([one.confirmed_ns for one in found]),
    )


def _matched(session: JudgedSession, reported: Sequence[ActionEvent]) -> list[_Found]:
    """The true events of a session that were found, each with the detection that fits it best."""
    first = {
        state: {one.id: one.emitted_ns for one in reversed(reported) if one.state is state}  # before it is renamed
        for state in (EventState.PROVISIONAL, EventState.CONFIRMED)
    }
    ended = [one for one in reported if one.state is EventState.ENDED]
    found = []
    for index in {event[0] for event in session.events}:
        true = [(onset, offset) for action, onset, offset in session.events if action == index]
        mine = [one for one in ended if one.action and one.action.index == index]
        spans = [(one.onset_ns * 1e-9, (one.offset_ns or one.onset_ns) * 1e-9) for one in mine]
        for at, detection in match(true, spans).items():
            onset_ns, event = round(true[at][0] * 1e9), mine[detection]
            found.append(
                _Found(
                    event.onset_ns - onset_ns,
                    first[EventState.PROVISIONAL][event.id] - onset_ns,
                    first[EventState.CONFIRMED][event.id] - onset_ns,
                )
            )
    return found


def _busy(session: JudgedSession, event: ActionEvent) -> bool:
    """Whether an action of its body part runs at some time of the event."""
    onset_s, offset_s = event.onset_ns * 1e-9, (event.offset_ns or event.onset_ns) * 1e-9
    return any(
        ACTIONS[index].body_part == event.body_part and onset < offset_s and offset > onset_s
        for index, onset, offset in session.events
    )


def _spread(values_ns: list[int]) -> Spread | None:
    if not values_ns:
        return None
    p50, p90 = (np.percentile(values_ns, [50, 90]) / 1e6).round(1).tolist()
    return Spread(p50, p90)
