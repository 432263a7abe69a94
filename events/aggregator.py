"""Predictions to micro-action events: hysteresis on the posterior of each action and, where scored, body part.

An event is a run of cells at or above `exit` of which one reaches `enter`. It is
  provisional  at the first cell that reaches `enter`; its onset lies where that run began, so that a high `enter`
               makes events rarer, not shorter;
  confirmed    once it has lasted the minimum duration, never before (in the same call if one cell is as long);
  retracted    where the posterior falls below `exit` before that;
  ended        once it has been below `exit` for the merge gap; its offset is where it fell. A shorter pause does not
               end it: reaching `exit` again carries it on.
A micro-action is a movement: where a part keeps still, none of its events begins (`engines.landmarks.movement`).
After an end the action can neither start nor be on its way for the refractory period; a retracted event blocks nothing.
Actions are independent of each other: several may run at once.

Where the model's card has limits for body parts, an event starts as soon as its part is sure, and gets its action when
that is (`events.hierarchy`).

Onsets and offsets are dated up to half a cell inside the run's edges: where the posterior, drawn as a straight line
from the middle of the cell outside to that of the cell inside, crosses half of its peak, as the width of a pulse is
measured (at the onset, half of the highest so far; at the middle of the cell inside where that is lower still).
Durations and pauses are of whole cells; `events.posterior` says what bias remains. Where steps are scored one by one,
a movement is under way before it can be told: the onset is where the posterior left almost nothing (`FAINT`), at most
`MOST_FAINT_NS` before the run. On simulated people that halves the bias and takes a third off the error.

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
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from engines.taxonomy import ACTIONS, Action
from events import hierarchy
from events.baseline import Baseline
from events.habituation import Habituation
from events.limits import PART_OF, Limits, of_part
from events.posterior import Cell, PosteriorGrid
from events.running import Running, inwards, mass_of
from events.settings import AggregatorSettings
from events.steps import StepGrid
from events.types import ActionEvent, BoolArray, Delay, EventState, Float32Array, Prediction

FAINT = np.array([0.07, 0.25], np.float32)  # posteriors of actions and of body parts that are no longer nothing
MOST_FAINT_NS = 500_000_000
NEVER_NS = np.iinfo(np.int64).max


class Aggregator:
    """Turns one camera's predictions into action events."""

    def __init__(
        self,
        camera_id: int,
        grid: PosteriorGrid | StepGrid,
        limits: Limits,
        settings: AggregatorSettings,
        now_ns: Callable[[], int] | None = None,
    ) -> None:
        """grid: what makes moments of the predictions; limits: as from `events.limits.limits`.

        now_ns: the clock of a live source, which is the media clock: events carry the full delay, up to its now. None
            for recordings.

        Raises:
            BadInput: a baseline that is too short for the windows.
        """
        self._camera_id, self._grid, self._limits = camera_id, grid, limits
        classes = len(limits.enter)
        self.baseline = Baseline(_ns(settings.baseline_s), grid.span_ns, limits.exit) if settings.baseline_s else None
        self._enter, self._exit = limits.enter.astype(np.float32), limits.exit.astype(np.float32)  # as a posterior is
        self._merge_ns, self._refractory_ns = _ns(settings.merge_gap_s), _ns(settings.refractory_s)
        self._posture_ns = _ns(settings.posture_s) if limits.parts and settings.posture_s else None
        self._now_ns = now_ns
        self._running: dict[int, Running] = {}  # by class
        self._blocked_until_ns = np.full(classes, np.iinfo(np.int64).min)
        self._lasting = np.zeros(classes, np.bool_)  # ended as a posture, and has not fallen below exit since
        # The run of cells at or above exit that each class is in: whether, since when, posterior times duration, and
        # the posteriors of its first cell and of the one before (NaN: none).
        self._rising = np.zeros(classes, np.bool_)
        self._since_ns = np.zeros(classes, np.int64)
        self._mass = np.zeros(classes)
        self._entry = np.full((2, classes), np.nan)
        self._before: Cell | None = None  # the last cell; None where nothing was seen before
        self._faint = np.minimum(self._exit, np.repeat(FAINT, (len(ACTIONS), classes - len(ACTIONS))))
        self._faint_since_ns = np.full(classes, NEVER_NS)  # start of the run of cells at or above that
        self._next_id = 1
        self._finished = False
        self._last: Prediction | None = None
        self._habituation = Habituation(_ns(settings.habituation_s), classes) if settings.habituation_s else None
        self._posteriors = np.zeros(classes, np.float32)
        self._events: list[ActionEvent] = []  # of the call under way
        self.judged: list[Cell] = []  # by the last call

    @property
    def posteriors(self) -> Float32Array:
        """(52,) posterior of the newest judged cell; zeros before the first."""
        return self._posteriors[: len(ACTIONS)]

    @property
    def habitual(self) -> tuple[Action, ...]:
        """Actions that count for notably less because they were seen of this person all along."""
        return self._habituation.habitual if self._habituation is not None else ()

    @property
    def running(self) -> dict[int, EventState]:
        """Action index → provisional or confirmed, for the events that run now. Safe to read from another thread."""
        return {
            index: EventState.CONFIRMED if event.confirmed else EventState.PROVISIONAL
            for index, event in list(self._running.items())  # the copy is one atomic step
            if index < len(ACTIONS)
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
        self._last, self.judged = prediction, []
        if not self._grid.continues(prediction.start_ns):
            self._close()
        probs = hierarchy.joined(prediction) if self._limits.parts else prediction.probs
        rested = self.baseline.take(prediction.start_ns, prediction.end_ns, probs) if self.baseline else probs
        if rested is not None:
            for cell in self._grid.add(prediction, rested):
                self._take(cell)
        return self._drain()

    def finish(self) -> list[ActionEvent]:
        """The recording is over: every running event ends or is retracted."""
        self.judged = []
        self._close()
        self._finished = True
        return self._drain()

    def _drain(self) -> list[ActionEvent]:
        events, self._events = self._events, []
        return events

    def _close(self) -> None:
        for cell in self._grid.close():
            self._take(cell)
        self._interrupt()

    def _interrupt(self) -> None:
        """Nothing is seen from here on: whatever runs is over."""
        for key in sorted(self._running):
            self._stop(key)
        self._rising[:] = False
        self._faint_since_ns[:] = NEVER_NS
        self._before = None

    def _take(self, cell: Cell) -> None:
        """Step every class that runs or may start by one cell, as far as it was recorded."""
        recorded_end_ns = self._decided_ns()
        if cell.start_ns >= recorded_end_ns:  # held pictures alone
            return
        if cell.end_ns > recorded_end_ns:
            cell = replace(cell, end_ns=recorded_end_ns)
        if self._before is not None and cell.start_ns > self._before.end_ns:
            self._interrupt()
        if self._habituation is not None:
            cell = self._habituation.take(cell, self._under_way())
        self._posteriors = cell.probs
        self.judged.append(cell)
        self._lasting &= cell.probs >= self._exit
        free = (cell.start_ns >= self._blocked_until_ns) & ~self._lasting
        staying = free & (cell.probs >= self._exit)
        begun = staying & ~self._rising
        self._entry[0, begun] = cell.probs[begun]
        self._entry[1, begun] = np.nan if self._before is None else self._before.probs[begun]
        self._rising, self._since_ns[begun], self._mass[begun] = staying, cell.start_ns, 0.0
        faint = free & (cell.probs >= self._faint)
        self._faint_since_ns = np.where(faint, np.minimum(self._faint_since_ns, cell.start_ns), NEVER_NS)
        raised, held = free & (cell.probs >= self._enter), staying
        if cell.moved is not None:
            raised &= cell.moved[PART_OF[: len(raised)]]
        if self._limits.parts:
            for key, name in hierarchy.renamed(self._running, cell.probs, raised, staying):
                self._name(key, name)
            raised, held = hierarchy.coupled(self._running, raised, staying)
        self._step(cell, raised, held, staying)
        self._mass += mass_of(cell)
        self._before = cell

    def _step(self, cell: Cell, raised: BoolArray, held: BoolArray, named: BoolArray) -> None:
        """`raised`: classes that may start; `held`: those that go on; `named`: those at or above exit. (K,) each."""
        for key in sorted(self._running.keys() | np.flatnonzero(raised).tolist()):
            event = self._running.get(key)
            if event is None:
                self._start(key, cell)
            elif held[key]:
                event.hold(cell, bool(named[key]))
                self._confirm(key)
            else:
                self._pause(key, cell)

    def _under_way(self) -> list[int]:
        """The classes of which an event runs."""
        if not self._limits.parts:
            return list(self._running)
        return sorted({at for event in self._running.values() for at in (event.key, of_part(event.part))})

    def _start(self, key: int, cell: Cell) -> None:
        began_ns, probs = int(self._since_ns[key]), cell.probs.astype(np.float64)  # no cell before reached enter
        mass = mass_of(cell)
        mass[key] += self._mass[key]
        onset_ns = began_ns + self._inwards(key, probs[key], *self._entry[:, key].tolist())
        if self._limits.parts and self._faint_since_ns[key] < began_ns:
            onset_ns = max(int(self._faint_since_ns[key]), began_ns - MOST_FAINT_NS)
        self._running[key] = Running(
            id=self._next_id,
            key=key,
            onset_ns=onset_ns,
            began_ns=began_ns,
            from_ns=began_ns,
            first_ns=cell.start_ns,
            raised_ns=self._decided_ns(),
            held_ns=cell.end_ns,
            named_ns=cell.end_ns,
            mass=mass,
            peak=probs,
            last=probs,
            pause_mass=np.zeros(len(probs)),
        )
        self._next_id += 1
        self._report(self._running[key], EventState.PROVISIONAL)
        self._confirm(key)

    def _inwards(self, key: int, peak: float, edge: float, outside: float) -> int:
        return inwards(float(self._exit[key]), float(peak), edge, outside, self._grid.step_ns)

    def _confirm(self, key: int) -> None:
        event = self._running[key]
        lasted_ns = event.held_ns - event.began_ns
        if not event.confirmed and lasted_ns >= self._limits.minimum_ns[key]:
            event.confirmed = True
            self._report(event, EventState.CONFIRMED)
        if event.confirmed and self._posture_ns is not None and lasted_ns >= self._posture_ns:
            self._stop(key, posture=True)

    def _name(self, key: int, name: int | None) -> None:
        """An event becomes known as another class, or makes room for it (None) and ends where its own class did."""
        event = self._running[key]
        if name is None:
            self._stop(key, event.named_ns)
            return
        event.name(name)
        self._running[name] = self._running.pop(key)
        self._report(event, EventState.REFINED if event.confirmed else EventState.PROVISIONAL)

    def _pause(self, key: int, cell: Cell) -> None:
        event = self._running[key]
        event.pause(cell)
        if not event.confirmed or cell.end_ns - event.held_ns >= self._merge_ns:
            self._stop(key)

    def _stop(self, key: int, offset_ns: int | None = None, posture: bool = False) -> None:
        """End or retract an event, there where it was held last, or at `offset_ns`."""
        event = self._running.pop(key)
        state = EventState.ENDED if event.confirmed else EventState.RETRACTED
        self._report(event, state, self._offset_ns(event) if offset_ns is None else offset_ns, posture)
        both = [key, of_part(event.part)] if self._limits.parts else [key]
        if event.confirmed:
            held_ns = event.held_ns if offset_ns is None else offset_ns
            self._blocked_until_ns[both] = held_ns + self._refractory_ns
        if posture:
            self._lasting[both] = True

    def _report(self, event: Running, state: EventState, offset_ns: int | None = None, posture: bool = False) -> None:
        delay, emitted_ns = self._delay(event)
        self._events.append(
            ActionEvent(
                id=event.id,
                camera_id=self._camera_id,
                state=state,
                action=event.action,
                body_part=event.body_part,
                onset_ns=event.onset_ns,
                offset_ns=offset_ns,
                confidence=event.confidence,
                emitted_ns=emitted_ns,
                delay=delay,
                candidates=event.candidates if self._limits.parts else (),
                posture=posture,
            )
        )

    def _offset_ns(self, event: Running) -> int:
        """Where an event that is over ended, dated by what fell last: its own class, or its part."""
        key = event.key if event.named_ns == event.held_ns else of_part(event.part)
        outside = math.nan if event.outside is None else float(event.outside[key])
        return event.held_ns - self._inwards(key, event.peak[key], float(event.last[key]), outside)

    def _decided_ns(self) -> int:
        """End of the window whose arrival decides what is reported now, or of the recording inside it."""
        return self._last.judged_until_ns if self._last is not None else 0

    def _delay(self, event: Running) -> tuple[Delay, int]:
        """The delay of a report on `event`, and the time of the report."""
        decided_ns = self._decided_ns()
        window_ns, confirmation_ns = event.raised_ns - event.onset_ns, decided_ns - event.raised_ns
        if self._now_ns is None or self._last is None:
            return Delay(window_ns, confirmation_ns), decided_ns
        now_ns = self._now_ns()
        started_ns = self._last.stamps.infer_start_ns
        return Delay(window_ns, confirmation_ns, started_ns - decided_ns, now_ns - started_ns), now_ns


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
