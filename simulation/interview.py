"""What happens when: a schedule of actions, written into the controls as it is made.

Arrivals form a birth-death process whose stationary law is the one measured on MMA-52: at a random instant no action
runs 15 % of the time, one 52 %, two 29 %,
three 4 %. Actions overlap only where they occupy different parts of the body.

Ground truth: an action begins with the first frame that leaves rest and ends with the last one that is not back, so the
way out and the way back are part of it. Actions that change the posture (see `simulation.motions.base`) end on arrival.
The slow, unlabelled ways back (sinking into a slouch, arms that sink back after being drawn in) take seconds and start
late; nothing else occupies the same part of the body meanwhile.
"""

from __future__ import annotations

import functools
import heapq
from dataclasses import dataclass, field, replace

import numpy as np

from engines.taxonomy import ACTIONS, Action
from simulation.controls import Controls
from simulation.durations import draw_duration, occurrence
from simulation.emotion import Mood
from simulation.geometry import minimum_jerk
from simulation.idle import live, slump
from simulation.motions import PROGRAMS, Motion, State
from simulation.motions.legs import bounce_crossed
from simulation.postures import settle
from simulation.subject import Subject

NATURAL, BALANCED, IDLE = "natural", "balanced", "idle"
MODES = (NATURAL, BALANCED, IDLE)
CONCURRENCY = (0.15, 0.52, 0.29, 0.04)  # share of time with 0, 1, 2, 3 actions: MMA-52
TAIL_S = 8.0  # planned beyond the end and cut off, so that the last seconds are like all others
_ARRIVING = {1: 2.6, 5: 2.2, 6: 2.2, 18: 2.0, 26: 2.6, 27: 2.6, 29: 2.4, 30: 2.4}  # longest s of what ends on arrival
_BOTH_HANDS = {11: 1.0, 12: 0.65, 16: 0.35, 17: 0.5, 18: 0.55, 20: 0.78, 22: 0.35, 23: 0.55, 48: 0.35, 49: 0.4}
_BOTH_LEGS = {24: 0.3, 31: 0.6}
_NEEDS_FREE_LEGS = frozenset({4, 25, 26, 27, 28, 29, 30, 31, 51})  # not while the legs rest crossed
_PAUSE_S = (0.12, 0.6)  # rest of a body part between two of its actions
SEEN_S = 0.25  # an action of which less is seen at the end is not counted
# Weights that make the classes of balanced sessions equally frequent, found by counting.
_EVEN_BY_USE: dict[tuple[str, ...], float] = {
    ("torso",): 0.5,
    ("torso", "head"): 0.58,
    ("torso", "both legs"): 0.86,
    ("head",): 0.47,
    ("both hands",): 2.34,
    ("hands",): 1.69,
    ("hand",): 1.32,
    ("both legs",): 0.73,
    ("legs",): 0.67,
    ("hand", "torso", "both legs"): 1.8,
}
_EVEN = {6: 0.22, 13: 3.1, 18: 0.84, 24: 0.61, 26: 0.77, 27: 0.77, 29: 0.76, 30: 0.76}
_EVERYTHING = ("torso", "head", "hand0", "hand1", "leg0", "leg1")


@dataclass(frozen=True, slots=True)
class TrueAction:
    """One action of the ground truth; times in seconds of the session."""

    index: int
    onset_s: float
    offset_s: float
    hands: tuple[int, ...] = ()  # 0 left, 1 right
    legs: tuple[int, ...] = ()
    seen: float = 1.0  # share of its time that the camera shows the limbs it moves

    @property
    def action(self) -> Action:
        return ACTIONS[self.index]


def _duration(rng: np.random.Generator, index: int, longest_s: float) -> float:
    longest = min(longest_s, _ARRIVING.get(index, longest_s))
    return float(np.clip(draw_duration(rng, index), PROGRAMS[index].shortest_s, longest))


@functools.cache
def _mean_duration(index: int, longest_s: float) -> float:
    rng = np.random.default_rng(index)
    return float(np.mean([_duration(rng, index, longest_s) for _ in range(200)]))


@dataclass(slots=True)
class _Director:
    controls: Controls
    subject: Subject
    rng: np.random.Generator
    mode: str
    longest_s: float
    wanted: tuple[int, ...]
    mood: Mood | None
    state: State = field(default_factory=State)
    free_s: dict[str, float] = field(default_factory=lambda: dict.fromkeys(_EVERYTHING, 0.0))
    truth: list[TrueAction] = field(default_factory=list)
    due: list[tuple[float, int, tuple[int, ...]]] = field(default_factory=list)  # follow-ups: s, index, hands

    def motion(self, onset_s: float, offset_s: float) -> Motion:
        start = round(onset_s * self.controls.fps)
        stop = min(round(offset_s * self.controls.fps) + 1, self.controls.count)
        return Motion(self.controls, self.subject, self.rng, self.state, start, max(stop, start + 2))

    def run(self, end_s: float) -> None:
        """Fill the session with actions until `end_s`."""
        mean_s = self._mean_duration()
        rates = [CONCURRENCY[k + 1] * (k + 1) / (CONCURRENCY[k] * mean_s) for k in range(3)]
        now = float(self.rng.exponential(0.12 * mean_s))
        while now < end_s:
            if self.due and self.due[0][0] <= now:
                _, index, hands = heapq.heappop(self.due)
                self._perform(index, now, hands, forced=True)
                continue
            running = [one.offset_s for one in self.truth if one.offset_s > now]
            until = min([*running, self.due[0][0] if self.due else end_s, end_s])
            level = min(len(running), 3)
            wait = float(self.rng.exponential(1.0 / rates[level])) if level < 3 else np.inf
            if now + wait >= until:
                now = until + 1e-6
                continue
            now += wait
            self._begin_something(now)

    def _mean_duration(self) -> float:
        weights = np.array([self._weight(index) for index in self.wanted])
        means = [_mean_duration(index, self.longest_s) for index in self.wanted]
        return float(np.sum(weights * np.array(means)) / np.sum(weights))

    def _weight(self, index: int) -> float:
        """Relative frequency; balanced: more for what is often impossible because a part of the body is busy."""
        return (
            occurrence(index) if self.mode == NATURAL else _EVEN.get(index, _EVEN_BY_USE.get(PROGRAMS[index].uses, 1.0))
        )

    def _begin_something(self, now: float) -> None:
        """The first action in a random order, the likelier ones earlier, that can start now."""
        weights = np.array([self._weight(index) for index in self.wanted])
        if self.mood is not None:
            weights = weights * [self.mood.factor(index, now) for index in self.wanted]
        keys = self.rng.exponential(1.0, len(self.wanted)) / weights
        for place in np.argsort(keys):
            if self._perform(self.wanted[int(place)], now):
                return

    def _free(self, part: str, now: float) -> bool:
        return self.free_s[part] <= now

    def _occupy(self, index: int, now: float) -> tuple[list[str], tuple[int, ...], tuple[int, ...]] | None:
        """(parts, hands, legs) that this action would take, or None where one is busy."""
        parts: list[str] = []
        hands: tuple[int, ...] = ()
        legs: tuple[int, ...] = ()
        for use in PROGRAMS[index].uses:
            if use in ("torso", "head"):
                parts.append(use)
                continue
            limb = "hand" if "hand" in use else "leg"
            shares = _BOTH_HANDS if limb == "hand" else _BOTH_LEGS
            both = use.startswith("both") or (use.endswith("s") and self.rng.random() < shares.get(index, 0.5))
            if both:
                chosen: tuple[int, ...] = (0, 1)
            else:
                first = 1 if (self.rng.random() < 0.68) == self.subject.right_handed else 0
                if not self._free(f"{limb}{first}", now):
                    first = 1 - first
                chosen = (first,)
            parts += [f"{limb}{one}" for one in chosen]
            hands, legs = (chosen, legs) if limb == "hand" else (hands, chosen)
        return (parts, hands, legs) if all(self._free(part, now) for part in parts) else None

    def _possible(self, index: int) -> int | None:
        """The action itself, its opposite where only that one can move, or None."""
        state = self.state
        if state.crossed and index in _NEEDS_FREE_LEGS:
            return None
        if index == 13 and state.hands_rest_together:
            return None  # they are together already
        if index in (26, 27):
            knee = max(state.knee_out) if index == 26 else min(state.knee_out)
            return 26 if (knee < 0.55 if index == 26 else knee < 0.3) else 27
        if index in (29, 30):
            further = min(state.foot_z) < 0.12 if index == 29 else max(state.foot_z) <= -0.06
            return 29 if further else 30
        return index

    def _perform(self, index: int, now: float, hands: tuple[int, ...] = (), forced: bool = False) -> bool:
        possible = index if forced else self._possible(index)
        if possible is None:
            return False
        index = possible
        legs: tuple[int, ...] = ()
        parts = ["head"] if index == 6 else [f"hand{hand}" for hand in hands]
        if not forced:
            taken = self._occupy(index, now)
            if taken is None:
                return False
            parts, hands, legs = taken
        offset = now + _duration(self.rng, index, self.longest_s)
        m = self.motion(now, offset)
        m.hands, m.legs = hands, legs
        m.stay = not forced and ((index == 5 and m.rng.random() < 0.5) or (index == 17 and m.rng.random() < 0.45))
        if m.start >= self.controls.count - 2:
            return False
        if index == 24 and self.state.crossed and any(step.anchor == "other_knee" for step in self.controls.steps):
            bounce_crossed(m)
        else:
            PROGRAMS[index].program(m)
        self.truth.append(TrueAction(index, now, offset, hands, legs))
        freed = self._aftermath(index, offset, m, forced) + m.between(*_PAUSE_S)
        for part in parts:
            self.free_s[part] = freed
        return True

    def _aftermath(self, index: int, offset: float, m: Motion, forced: bool) -> float:
        """Follow-ups and slow ways back; returns when the body part is free again, s."""
        if m.stay:
            back = offset + m.between(0.3, 3.0)
            heapq.heappush(self.due, (back, 6 if index == 5 else 18, m.hands))
            return float("inf")
        if index == 1:
            start = offset + m.between(1.5, 6.0)
            end = start + m.between(3.0, 6.0)
            if round(start * m.fps) < self.controls.count - 2:
                slump(self.motion(start, end), -self.state.slouch + m.between(0.35, 1.1))
            return end
        if index == 18 and not forced:
            start = offset + m.between(0.8, 3.0)
            end = start + m.between(1.8, 3.5)
            sinking = self.motion(start, end)
            for hand in m.hands:
                layer = self.state.stretched.pop(hand)
                if sinking.start < self.controls.count - 2:
                    layer.extend(sinking.start, 1.0 - minimum_jerk(sinking.times / sinking.length))
                else:
                    layer.extend(self.controls.count)
            return end
        return offset


def write_interview(
    rng: np.random.Generator,
    subject: Subject,
    seconds: float,
    fps: float,
    mode: str,
    *,
    longest_s: float = 14.0,
    wanted: tuple[int, ...] | None = None,
    hand_rest: str | None = None,
    crossed: bool | None = None,
    mood: Mood | None = None,
) -> tuple[Controls, list[TrueAction]]:
    """Controls of `seconds` of interview and what truly happens in it, in the order of onsets.

    The parameters behind `mode` are those of `simulation.session.Settings`, which is built on this.

    Many parameters: what is not given is drawn.
    """
    count = max(2, round(seconds * fps))
    controls = Controls(count + round(TAIL_S * fps), fps)
    director = _Director(controls, subject, rng, mode, longest_s, wanted or tuple(range(len(ACTIONS))), mood)
    session = Motion(controls, subject, rng, director.state, 0, controls.count)
    settle(session, hand_rest, crossed)
    live(session)
    if mode != IDLE:
        director.run(seconds + TAIL_S - 0.5)
    for layer in director.state.stretched.values():
        layer.extend(controls.count)
    controls.crop(count)
    end = (count - 1) / fps
    truth = [replace(one, offset_s=min(one.offset_s, end)) for one in director.truth if one.onset_s < end - SEEN_S]
    return controls, sorted(truth, key=lambda one: (one.onset_s, one.index))
