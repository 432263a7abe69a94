"""Window predictions to micro-action events: hysteresis on the posterior of each action.

An event is a run of cells at or above `exit` of which one reaches `enter`. It is
  provisional  at the first cell that reaches `enter`; its onset lies where that run began, so that a high `enter`
               makes events rarer, not shorter;
  confirmed    once it has lasted the minimum duration, never before (in the same call if one cell is as long);
  retracted    where the posterior falls below `exit` before that;
  ended        once it has been below `exit` for the merge gap; its offset is where it fell. A shorter pause does not
               end it: reaching `exit` again carries it on.
After an end the action can neither start nor be on its way for the refractory period; a retracted event blocks nothing.
Actions are independent of each other: several may run at once.

Onsets and offsets are dated up to half a cell inside the run's edges: where the posterior, drawn as a straight line
from the middle of the cell outside to that of the cell inside, crosses half of its peak, as the width of a pulse is
measured (at the onset, half of the highest so far; at the middle of the cell inside where that is lower still).
Durations and pauses are of whole cells; `events.posterior` says what bias remains.

Where nothing was seen (windows that neither overlap nor touch, or the end of the recording), every running event ends
with the last window before, or inside it where the recording ended there: the gap is never bridged, whatever the merge
gap, and whatever goes on behind it is a new event. That end is reported when the next window comes, or by `finish`.

Posteriors count relative to what has been said of the person all along (`events.habituation`). A session may begin with
a baseline (`events.baseline`): until it is measured there are no events.

Time is media time alone. For recordings the events are a function of the predictions; only live sources, whose media
clock is the machine's monotonic clock, are dated by the wall.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from engines.common.errors import BadInput
from engines.taxonomy import ACTIONS, Action
from events.baseline import Baseline
from events.habituation import Habituation
from events.posterior import Cell, FloatArray, PosteriorGrid
from events.settings import AggregatorSettings
from events.types import ActionEvent, Delay, EventState, Float32Array, Prediction

DEFAULT_ENTER = 0.35
DEFAULT_EXIT = 0.2
HALF = 0.5  # of the peak, where events are dated

CardThreshold = float | Sequence[float] | None


def thresholds(
    settings: AggregatorSettings, card_enter: CardThreshold, card_exit: CardThreshold
) -> tuple[FloatArray, FloatArray]:
    """The posteriors that start and end an event, each (52,): from the settings, else the model's card, else defaults.

    Raises:
        BadInput: a threshold is not in 0..1, a list does not hold one per action, or an exit is above its enter.
    """
    enter = _spread("enter", settings.enter, card_enter, DEFAULT_ENTER)
    exit_ = _spread("exit", settings.exit, card_exit, DEFAULT_EXIT)
    above = np.flatnonzero(exit_ > enter)
    if above.size:
        at = int(above[0])
        raise BadInput(
            f"exit at or below enter for '{ACTIONS[at].name}'",
            f"{exit_[at]:g} above {enter[at]:g}",
            "set both aggregator.enter and aggregator.exit",
        )
    return enter, exit_


def _spread(name: str, setting: float | None, card: CardThreshold, default: float) -> FloatArray:
    chosen: float | Sequence[float] = setting if setting is not None else card if card is not None else default
    values = np.asarray(chosen, np.float64)
    if values.shape not in ((), (len(ACTIONS),)):
        raise BadInput(f"one {name} threshold or {len(ACTIONS)}", f"{values.size}", "mend the model's card.json")
    if not np.all((values >= 0.0) & (values <= 1.0)):
        raise BadInput(
            f"{name} thresholds in 0..1", f"{values.min():g} to {values.max():g}", "mend the model's card.json"
        )
    return np.broadcast_to(values, (len(ACTIONS),)).copy()


@dataclass(slots=True)
class _Running:
    """A provisional or confirmed event of one action."""

    id: int
    onset_ns: int
    began_ns: int  # start of its first cell at or above exit
    raised_ns: int  # end of the window whose arrival raised it
    held_ns: int  # end of its last cell at or above exit
    mass: float  # posterior times duration, from began_ns to held_ns
    peak: float
    last: float  # posterior of its last cell at or above exit
    outside: float = math.nan  # of the cell behind that, where there is one
    pause_mass: float = 0.0  # posterior times duration, since held_ns
    confirmed: bool = False


class Aggregator:
    """Turns one camera's predictions into action events."""

    def __init__(
        self,
        camera_id: int,
        span_ns: int,
        hop_ns: int,
        settings: AggregatorSettings,
        enter: FloatArray,
        exit_: FloatArray,
        centre_shift_ns: int = 0,
        now_ns: Callable[[], int] | None = None,
    ) -> None:
        """`enter`, `exit_`: (52,) posteriors as from `thresholds`; windows last `span_ns` and fall due every `hop_ns`.

        centre_shift_ns: how much later than its middle the frames of a window are centred.
        now_ns: the clock of a live source, which is the media clock: events carry the full delay, up to its now. None
            for recordings.

        Raises:
            ValueError: wrong shapes, an exit above its enter, or times that are not positive.
            BadInput: a baseline that is too short for the windows.
        """
        if enter.shape != (len(ACTIONS),) or exit_.shape != enter.shape or not np.all(exit_ <= enter):
            raise ValueError(
                f"expected enter and exit ({len(ACTIONS)},) with exit <= enter, got {enter.shape}, {exit_.shape}"
            )
        self._camera_id = camera_id
        self._grid = PosteriorGrid(span_ns, hop_ns, _ns(settings.latency_s), centre_shift_ns)
        self.baseline = Baseline(_ns(settings.baseline_s), span_ns, exit_) if settings.baseline_s else None
        self._enter, self._exit = enter.astype(np.float32), exit_.astype(np.float32)  # as precise as a posterior
        self._minimum_ns = _ns(settings.min_duration_s)
        self._merge_ns = _ns(settings.merge_gap_s)
        self._refractory_ns = _ns(settings.refractory_s)
        self._now_ns = now_ns
        self._running: dict[int, _Running] = {}  # by action index
        self._blocked_until_ns = np.full(len(ACTIONS), np.iinfo(np.int64).min)
        # The run of cells at or above exit that each action is in: whether, since when, posterior times duration, and
        # the posteriors of its first cell and of the one before (NaN: none).
        self._rising = np.zeros(len(ACTIONS), np.bool_)
        self._since_ns = np.zeros(len(ACTIONS), np.int64)
        self._mass = np.zeros(len(ACTIONS))
        self._entry = np.full((2, len(ACTIONS)), np.nan)
        self._before: Float32Array | None = None  # posteriors of the last cell; None at the start of a stretch
        self._next_id = 1
        self._finished = False
        self._last: Prediction | None = None
        self._habituation = Habituation(_ns(settings.habituation_s)) if settings.habituation_s else None
        self._posteriors = np.zeros(len(ACTIONS), np.float32)
        self._events: list[ActionEvent] = []  # of the call under way

    @property
    def posteriors(self) -> Float32Array:
        """(52,) posterior of the newest judged cell; zeros before the first."""
        return self._posteriors

    @property
    def usual(self) -> tuple[Action, ...]:
        """Actions that count for notably less because they were said of this person all along."""
        return self._habituation.usual if self._habituation is not None else ()

    @property
    def running(self) -> dict[int, EventState]:
        """Action index → provisional or confirmed, for the events that run now. Safe to read from another thread."""
        return {
            index: EventState.CONFIRMED if event.confirmed else EventState.PROVISIONAL
            for index, event in list(self._running.items())  # the copy is one atomic step
        }

    def push(self, prediction: Prediction) -> list[ActionEvent]:
        """Take the next prediction; return what it decides, in the order of media time.

        Raises:
            ValueError: of another camera, of another span, not after the last prediction, or after `finish`.
        """
        if prediction.camera_id != self._camera_id:
            raise ValueError(f"expected a prediction of camera {self._camera_id}, got {prediction.camera_id}")
        if self._last is not None and prediction.end_ns <= self._last.end_ns:
            raise ValueError(f"expected a window that ends after {self._last.end_ns}, got {prediction.end_ns}")
        if self._finished:
            raise ValueError("expected no prediction after finish()")
        self._last = prediction
        if not self._grid.continues(prediction.start_ns):
            self._close()
        probs: Float32Array | None = prediction.probs
        if self.baseline is not None:
            probs = self.baseline.take(prediction.start_ns, prediction.end_ns, prediction.probs)
        if probs is not None:
            for cell in self._grid.add(prediction.start_ns, prediction.end_ns, probs):
                self._take(cell)
        return self._drain()

    def finish(self) -> list[ActionEvent]:
        """The recording is over: every running event ends or is retracted."""
        self._close()
        self._finished = True
        return self._drain()

    def _drain(self) -> list[ActionEvent]:
        events, self._events = self._events, []
        return events

    def _close(self) -> None:
        for cell in self._grid.close():
            self._take(cell)
        for index in sorted(self._running):
            self._stop(index)
        self._rising[:] = False
        self._before = None

    def _take(self, cell: Cell) -> None:
        """Step every action that runs or may start by one cell, as far as it was recorded."""
        recorded_end_ns = self._decided_ns()
        if cell.start_ns >= recorded_end_ns:  # held pictures alone
            return
        if cell.end_ns > recorded_end_ns:
            cell = replace(cell, end_ns=recorded_end_ns)
        if self._habituation is not None:
            cell = self._habituation.take(cell, list(self._running))
        self._posteriors = cell.probs
        free = cell.start_ns >= self._blocked_until_ns
        staying = free & (cell.probs >= self._exit)
        begun = staying & ~self._rising
        self._entry[0, begun] = cell.probs[begun]
        self._entry[1, begun] = np.nan if self._before is None else self._before[begun]
        self._rising, self._since_ns[begun], self._mass[begun] = staying, cell.start_ns, 0.0
        for index in sorted(self._running.keys() | np.flatnonzero(free & (cell.probs >= self._enter)).tolist()):
            if index not in self._running:
                self._start(index, cell)
            elif staying[index]:
                self._hold(index, cell)
            else:
                self._pause(index, cell)
        self._mass += cell.probs.astype(np.float64) * (cell.end_ns - cell.start_ns)
        self._before = cell.probs

    def _start(self, index: int, cell: Cell) -> None:
        began_ns, peak = int(self._since_ns[index]), float(cell.probs[index])  # no cell before reached enter
        onset_ns = began_ns + self._inwards(index, peak, *self._entry[:, index].tolist())
        mass = float(self._mass[index]) + _mass(index, cell)
        self._running[index] = _Running(
            self._next_id, onset_ns, began_ns, self._decided_ns(), cell.end_ns, mass, peak, peak
        )
        self._next_id += 1
        self._report(index, EventState.PROVISIONAL)
        self._confirm(index)

    def _inwards(self, index: int, peak: float, edge: float, outside: float) -> int:
        """How far inside its run an event is dated, ns: 0 to half a cell.

        Args:
            index: of the action.
            peak: highest posterior of the event so far.
            edge: posterior of the cell at the run's edge.
            outside: of the one beside it, NaN where there is none. Beside nothing, and beside the refractory period,
                the edge stays.
        """
        exit_ = float(self._exit[index])
        if not outside < exit_:
            return 0
        level = min(max(exit_, HALF * peak), edge)
        share = (level - outside) / (edge - outside)  # of the way from the middle of one cell to that of the other
        return max(round((share - 0.5) * self._grid.step_ns), 0)

    def _hold(self, index: int, cell: Cell) -> None:
        event = self._running[index]
        event.mass += event.pause_mass + _mass(index, cell)
        event.pause_mass, event.outside = 0.0, math.nan
        event.held_ns = cell.end_ns
        event.last = float(cell.probs[index])
        event.peak = max(event.peak, event.last)
        self._confirm(index)

    def _confirm(self, index: int) -> None:
        event = self._running[index]
        if not event.confirmed and event.held_ns - event.began_ns >= self._minimum_ns:
            event.confirmed = True
            self._report(index, EventState.CONFIRMED)

    def _pause(self, index: int, cell: Cell) -> None:
        event = self._running[index]
        event.pause_mass += _mass(index, cell)
        if math.isnan(event.outside):
            event.outside = float(cell.probs[index])
        if not event.confirmed or cell.end_ns - event.held_ns >= self._merge_ns:
            self._stop(index)

    def _stop(self, index: int) -> None:
        event = self._running[index]
        self._report(index, EventState.ENDED if event.confirmed else EventState.RETRACTED)
        if event.confirmed:
            self._blocked_until_ns[index] = event.held_ns + self._refractory_ns
        del self._running[index]

    def _report(self, index: int, state: EventState) -> None:
        event = self._running[index]
        delay, emitted_ns = self._delay(event)
        over = state in (EventState.ENDED, EventState.RETRACTED)
        self._events.append(
            ActionEvent(
                id=event.id,
                camera_id=self._camera_id,
                state=state,
                action=ACTIONS[index],
                onset_ns=event.onset_ns,
                offset_ns=event.held_ns - self._inwards(index, event.peak, event.last, event.outside) if over else None,
                confidence=min(max(event.mass / (event.held_ns - event.began_ns), 0.0), 1.0),
                emitted_ns=emitted_ns,
                delay=delay,
            )
        )

    def _decided_ns(self) -> int:
        """End of the window whose arrival decides what is reported now, or of the recording inside it."""
        return self._last.judged_until_ns if self._last is not None else 0

    def _delay(self, event: _Running) -> tuple[Delay, int]:
        """The delay of a report on `event`, and the time of the report."""
        decided_ns = self._decided_ns()
        window_ns, confirmation_ns = event.raised_ns - event.onset_ns, decided_ns - event.raised_ns
        if self._now_ns is None or self._last is None:
            return Delay(window_ns, confirmation_ns), decided_ns
        now_ns = self._now_ns()
        started_ns = self._last.stamps.infer_start_ns
        return Delay(window_ns, confirmation_ns, started_ns - decided_ns, now_ns - started_ns), now_ns


def _mass(index: int, cell: Cell) -> float:
    return float(cell.probs[index]) * (cell.end_ns - cell.start_ns)


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
