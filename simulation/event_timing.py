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
from events.offline import JudgedSession, session_reports
from events.scores import LEAST_TIOU, match
from events.settings import AggregatorSettings
from events.types import ActionEvent, EventState
from simulation.interview import NATURAL
from simulation.windows import judge_sessions

KNOBS_S = (0.25, 0.5, 1.9)


class Spread(msgspec.Struct, frozen=True):
    """Median and 90th percentile, ms."""

    p50: float
    p90: float


class Timing(msgspec.Struct, frozen=True):
    """Events of one setting of the latency knob. Only true events that were found have errors and delays."""

    latency_s: float
    events: int  # true ones
    found: int
    false: int  # detections without a true event
    onset_error_ms: Spread | None  # size of the error; None where nothing was found
    onset_bias_ms: float | None  # median of detected minus true
    provisional_delay_ms: Spread | None  # true onset to first report
    confirmed_delay_ms: Spread | None  # true onset to confirmation


class TimingReport(msgspec.Struct, frozen=True):
    """The timings of a model, as a table for people."""

    model: str
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
        table.add_column("--latency")
        for name in ("events", "found", "false", "onset error", "bias", "to provisional", "to confirmed"):
            table.add_column(name, justify="right")
        for one in self.settings:
            bias = "–" if one.onset_bias_ms is None else f"{one.onset_bias_ms:+.0f}"
            table.add_row(
                f"{one.latency_s:g} s",
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
    knobs_s: Sequence[float] = KNOBS_S,
    report: Callable[[str], None] = lambda _: None,
) -> TimingReport:
    """Judge simulated interviews that nothing was trained on; aggregate them at every setting of the latency knob.

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
    return TimingReport(
        bundle.card.name, bundle.card.trained, sessions, seconds, [timing(bundle, judged, knob) for knob in knobs_s]
    )


def timing(bundle: Bundle, judged: Sequence[JudgedSession], latency_s: float) -> Timing:
    """Timing of judged sessions at one setting, with the thresholds of the model's card."""
    settings = AggregatorSettings(latency_s=latency_s)
    found: list[_Found] = []
    events = detected = 0
    for session in judged:
        reported = session_reports(bundle, session, settings)
        events += len(session.events)
        detected += sum(one.state is EventState.ENDED for one in reported)
        found += _matched(session, reported)
    return Timing(
        latency_s,
        events,
        len(found),
        detected - len(found),
        _spread([abs(one.error_ns) for one in found]),
        round(float(np.median([one.error_ns for one in found])) / 1e6, 1) if found else None,
        _spread([one.provisional_ns for one in found]),
        _spread([one.confirmed_ns for one in found]),
    )


def _matched(session: JudgedSession, reported: Sequence[ActionEvent]) -> list[_Found]:
    """The true events of a session that were found, each with the detection that fits it best."""
    first = {
        state: {one.id: one.emitted_ns for one in reported if one.state is state}
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


def _spread(values_ns: list[int]) -> Spread | None:
    if not values_ns:
        return None
    p50, p90 = (np.percentile(values_ns, [50, 90]) / 1e6).round(1).tolist()
    return Spread(p50, p90)
