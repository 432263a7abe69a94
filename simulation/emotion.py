"""How a simulated person feels over a session, and what of it shows: face, posture, and which actions are likelier.

Feelings come in episodes. In an episode the face shows its action units (EMFACS) in bouts with an onset, an apex and
an offset, weaker between them; not every unit each time, seldom alike on both sides, at times a smile over another
feeling. People differ in how much they show. Nothing here was measured on people: sizes and rates follow what the
literature describes (Ekman and Friesen; Wallbott 1998; MANet paper, Fig. 11), written down by hand.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engines.taxonomy import ACTIONS, EMOTIONS, LOWER_LIMB_PARTS
from simulation.action_units import PROTOTYPES, UNITS, draw_shape
from simulation.controls import Controls
from simulation.durations import occurrence
from simulation.geometry import Array, minimum_jerk

Range = tuple[float, float]

# Share of all actions that are of the lower limbs, D and G, in each emotion (MANet paper, Fig. 11 a).
LOWER_LIMB_SHARES = (0.20, 0.16, 0.18, 0.16, 0.13)
# How many times as frequent as else each action is in an emotion. Illustrators and open hands with joy, self-touch and
# stillness of the arms with sadness and fear, clenching, pointing and crossed arms with anger (Wallbott 1998, Table 3;
# Ekman and Friesen 1972 on adaptors), startle with surprise.
_LIKELIER: dict[str, dict[int, float]] = {
    "joy": {0: 3.0, 9: 2.5, 20: 3.0, 23: 4.0, 19: 3.0, 24: 2.5, 48: 3.0, 13: 2.5, 7: 1.6, 17: 1.5},
    "sadness": {5: 5.0, 41: 4.0, 42: 5.0, 40: 4.0, 21: 2.5, 45: 5.0, 10: 2.0, 18: 2.0, 22: 2.0, 37: 1.5, 25: 2.0},
    "surprise": {6: 5.0, 46: 7.0, 20: 3.0, 1: 4.0, 3: 5.0, 4: 3.0, 17: 3.0, 8: 2.0, 30: 2.5, 2: 3.0},
    "fear": {18: 5.0, 30: 3.5, 27: 3.5, 14: 5.0, 11: 4.0, 32: 5.0, 43: 3.0, 38: 4.0, 31: 3.0, 35: 3.0, 12: 2.0},
    "anger": {16: 7.0, 10: 4.0, 37: 5.0, 36: 6.0, 15: 5.0, 23: 2.0, 0: 2.0, 33: 3.0, 4: 2.5, 44: 2.0},
}
_RARER = {
    "joy": (5, 37, 18, 42),
    "sadness": (9, 19, 20, 23, 0),
    "surprise": (21, 24, 25, 5),
    "fear": (20, 19, 36, 23),
    "anger": (13, 21, 7, 46),
}
_RARE = 0.3
# How the body is held, at full intensity: rad, metres, slouch.
_POSTURES: dict[str, dict[str, float]] = {
    "joy": {"slouch": -0.4, "head_pitch": -0.07, "lean": 0.04},
    "sadness": {"slouch": 0.6, "head_pitch": 0.26, "head_forward": 0.018, "lean": -0.04},
    "surprise": {"lean": -0.15, "head_pitch": -0.14, "shrug_left": 0.012, "shrug_right": 0.012},
    "fear": {"lean": -0.18, "shrug_left": 0.026, "shrug_right": 0.026, "protract": 0.03, "head_forward": -0.018},
    "anger": {"lean": 0.24, "head_forward": 0.03, "head_pitch": 0.07, "slouch": -0.3},
}
_TURN_S = (1.5, 4.0)  # in which the posture follows
_EXPRESSIVE = (0.6, 1.25)  # of different people
_ONSET_S, _APEX_S, _OFFSET_S, _PAUSE_S = (0.25, 0.9), (0.6, 4.0), (0.4, 1.6), 1.0  # of bouts; the last is a mean
_TONE = (0.2, 0.5)  # of the intensity between bouts
_SHOWN = 0.88  # chance of each unit in a bout
_MASKED = 0.1  # chance that a bout is a smile of the mouth alone, whatever is felt
_STRAY_S = 9.0  # mean time between units that mean nothing


@dataclass(frozen=True, slots=True)
class Episode:
    """A feeling of the ground truth; times in seconds of the session."""

    emotion: int | None  # index into EMOTIONS; None: none
    onset_s: float
    offset_s: float
    intensity: float  # 0..1

    @property
    def name(self) -> str | None:
        return None if self.emotion is None else EMOTIONS[self.emotion]


@dataclass(frozen=True, slots=True)
class MoodSettings:
    """What a person feels in a session. None: at random."""

    emotions: tuple[str | None, ...] | None = None  # one episode each, in this order, over and over
    episode_s: Range = (12.0, 40.0)
    intensity: Range = (0.5, 1.0)
    calm: float = 0.2  # share of episodes without an emotion, where they are drawn


@dataclass(frozen=True, slots=True)
class Mood:
    """A session's episodes, without gaps, and how they bear on its actions."""

    episodes: tuple[Episode, ...]
    expressive: float

    def at(self, second: float) -> Episode:
        """The episode under way."""
        return next((one for one in self.episodes if second < one.offset_s), self.episodes[-1])

    def factor(self, index: int, second: float) -> float:
        """How many times as likely as else the action is to be the next one."""
        episode = self.at(second)
        return 1.0 if episode.emotion is None else float(_FACTORS[episode.emotion, index])


def _factors() -> Array:
    """(5, 52) such that the lower limbs have their share of what begins."""
    frequencies = np.array([occurrence(action.index) for action in ACTIONS])
    lower = np.array([action.body_part in LOWER_LIMB_PARTS for action in ACTIONS])
    table = np.ones((len(EMOTIONS), len(ACTIONS)))
    for row, emotion in enumerate(EMOTIONS):
        for index, times in _LIKELIER[emotion].items():
            table[row, index] = times
        table[row, list(_RARER[emotion])] = _RARE
        weight = frequencies * table[row]
        share = LOWER_LIMB_SHARES[row]
        table[row, lower] *= share / (1.0 - share) * weight[~lower].sum() / weight[lower].sum()
    return table


_FACTORS = _factors()


def draw_mood(rng: np.random.Generator, seconds: float, settings: MoodSettings) -> Mood:
    """Episodes that fill a session."""
    episodes: list[Episode] = []
    now = 0.0
    while now < seconds:
        if settings.emotions is not None:
            name = settings.emotions[len(episodes) % len(settings.emotions)]
            emotion = None if name is None else EMOTIONS.index(name)
        else:
            emotion = None if rng.random() < settings.calm else int(rng.integers(len(EMOTIONS)))
        end = now + float(rng.uniform(*settings.episode_s))
        episodes.append(Episode(emotion, now, min(end, seconds), float(rng.uniform(*settings.intensity))))
        now = end
    return Mood(tuple(episodes), float(rng.uniform(*_EXPRESSIVE)))


def show(rng: np.random.Generator, mood: Mood, controls: Controls) -> None:
    """Write a mood into finished controls: the face's shape and expression, the body's posture."""
    controls.face_shape = draw_shape(rng)
    controls.expression = np.zeros((controls.count, 2, len(UNITS)))
    times = np.arange(controls.count) / controls.fps
    for episode in mood.episodes:
        if episode.emotion is not None:
            _hold(rng, episode, controls, times)
            _express(rng, episode, mood.expressive, controls.expression, times)
    _stray(rng, controls.expression, times)
    np.clip(controls.expression, 0.0, 1.15, out=controls.expression)


def _hold(rng: np.random.Generator, episode: Episode, controls: Controls, times: Array) -> None:
    turn_s = float(rng.uniform(*_TURN_S))
    curve = _bout(times, episode.onset_s, turn_s, episode.offset_s - episode.onset_s - turn_s, turn_s)
    for channel, amount in _POSTURES[EMOTIONS[episode.emotion or 0]].items():
        size = episode.intensity * float(np.clip(rng.normal(0.9, 0.5), 0.0, 2.0))
        controls.channel(channel)[:] += amount * size * curve


def _bout(times: Array, start: float, onset: float, apex: float, offset: float) -> Array:
    return minimum_jerk((times - start) / onset) * minimum_jerk((start + onset + apex + offset - times) / offset)


def _express(rng: np.random.Generator, episode: Episode, expressive: float, strength: Array, times: Array) -> None:
    prototype = PROTOTYPES[episode.emotion or 0].astype(float)
    size = episode.intensity * expressive
    uneven = np.clip(1.0 + 0.12 * rng.normal(size=(2, len(UNITS))), 0.5, 1.4)  # left, right
    rise, fall = (float(rng.uniform(*_ONSET_S)) for _ in range(2))
    within = minimum_jerk((times - episode.onset_s) / rise) * minimum_jerk((episode.offset_s - times) / fall)
    level = np.zeros((len(times), len(UNITS)))
    level += (within * rng.uniform(*_TONE))[:, None] * prototype * rng.uniform(0.5, 1.0, len(UNITS))
    start = episode.onset_s + float(rng.exponential(0.3))
    while start < episode.offset_s:
        masked = bool(rng.random() < _MASKED)
        units = np.array([unit == 12 for unit in UNITS], float) if masked else prototype
        shown = units * (rng.random(len(UNITS)) < _SHOWN) * rng.uniform(0.65, 1.05, len(UNITS))
        onset, apex, offset = (float(rng.uniform(*each)) for each in (_ONSET_S, _APEX_S, _OFFSET_S))
        late = rng.normal(0.0, 0.08, len(UNITS))
        for column in np.flatnonzero(shown):
            curve = shown[column] * _bout(times, start + float(late[column]), onset, apex, offset) * within
            level[:, column] = np.maximum(level[:, column], curve)
        start += onset + apex + offset + float(rng.exponential(_PAUSE_S))
    strength += size * level[:, None, :] * uneven


def _stray(rng: np.random.Generator, strength: Array, times: Array) -> None:
    """Brows that go up with a word, a frown into the light, a polite smile."""
    at = float(rng.exponential(_STRAY_S))
    groups = [[UNITS.index(unit) for unit in units] for units in ((1, 2), (12,), (4,), (7,), (15,), (23,))]
    while at < times[-1]:
        columns = groups[int(rng.choice(len(groups), p=(0.35, 0.25, 0.15, 0.1, 0.07, 0.08)))]
        onset, apex, offset = float(rng.uniform(0.15, 0.5)), float(rng.uniform(0.1, 1.0)), float(rng.uniform(0.2, 0.7))
        curve = float(rng.uniform(0.2, 0.7)) * _bout(times, at, onset, apex, offset)
        strength[:, :, columns] += curve[:, None, None]
        at += float(rng.exponential(_STRAY_S))
