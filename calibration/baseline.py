"""What a baseline (`events.baseline`) changes with a model: people who rest unusually, with and without one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from engines.bundle import Bundle
from engines.runtimes import open_runtime
from events.baseline import Baseline
from events.offline import JudgedSession, session_events, window_grid
from events.scores import Event, score_events
from events.settings import AggregatorSettings
from simulation.body import pose_body
from simulation.interview import BALANCED, IDLE, write_interview
from simulation.session import SPLITS, Session, Settings, project_body, simulate
from simulation.tracker_noise import NoiseSettings, observe
from simulation.windows import judge

SPLIT = "test"
SESSION_S = 60.0
# Resting postures that the simulated people seldom or never have, as what is added to theirs; rad, slouch 0..1.5.
POSTURES: dict[str, dict[str, float]] = {
    "head tilted": {"head_roll": 0.3},
    "head bowed": {"head_pitch": 0.35},
    "head raised": {"head_pitch": -0.25},
    "head turned": {"head_yaw": 0.5},
    "leaning aside": {"side": 0.2, "head_roll": 0.1},
    "hunched": {"slouch": 0.7, "lean": 0.25, "head_pitch": 0.1},
}


@dataclass(frozen=True, slots=True)
class Benefit:
    """Counts over all sessions."""

    hours: float  # of sitting still, unusually
    false_before: int  # events of people who sat still all the time
    false_after: int
    f1_before: float  # of people who rest as simulated, macro over actions
    f1_after: float

    @property
    def removed(self) -> float:
        """Share of the false events; NaN where there were none."""
        return 1.0 - self.false_after / self.false_before if self.false_before else math.nan


def measure_benefit(
    bundle: Bundle, rest_s: float, sessions: int, seed: int, threads: int, report: Callable[[int], None]
) -> Benefit:
    """Play `sessions` minutes of sitting still in each posture in turn, and as many of interviews as still.

    Each session begins with `rest_s` of rest, which counts for nothing but the baseline. Before an interview it is the
    rest of the same person in the same posture.

    Raises:
        BadInput: the model does not see landmarks, or `rest_s` is too short for its windows.
        RuntimeFailed: no runtime can run it.
    """
    card = bundle.card
    Baseline(round(rest_s * 1e9), window_grid(card).span_ns, np.zeros(len(card.labels)))  # long enough?
    names = list(POSTURES)
    still: list[JudgedSession] = []
    busy: list[tuple[JudgedSession, JudgedSession]] = []
    with open_runtime(bundle, threads=threads) as engine:
        for number in range(sessions):
            posture = POSTURES[names[number % len(names)]]
            still.append(judge(engine, card, resting_session(seed + number, rest_s + SESSION_S, posture)))
            rest, session = (
                judge(engine, card, simulate(seed + number, seconds, settings=Settings(mode, SPLIT)))
                for seconds, mode in ((rest_s + 0.1, IDLE), (SESSION_S, BALANCED))
            )
            busy.append((rest, session))
            report(number + 1)
    before, after = AggregatorSettings(), AggregatorSettings(baseline_s=rest_s)
    false = [
        sum(onset >= rest_s for one in still for _, onset, _ in session_events(bundle, one, settings))
        for settings in (before, after)
    ]
    f1 = [
        score_events(
            [(pair[1].events, _behind(bundle, pair, settings)) for pair in busy], SESSION_S * len(busy)
        ).f1_macro
        for settings in (before, after)
    ]
    return Benefit(SESSION_S * sessions / 3600.0, false[0], false[1], f1[0], f1[1])


def resting_session(seed: int, seconds: float, posture: dict[str, float]) -> Session:
    """The idle session of `simulation.session.simulate`, its person sitting all the time as `posture` says."""
    still = simulate(seed, seconds, settings=Settings(IDLE, SPLIT))
    streams = np.random.SeedSequence([seed, SPLITS.index(SPLIT)]).spawn(4)
    events, tracker = (np.random.default_rng(streams[index]) for index in (2, 3))
    controls, _ = write_interview(events, still.subject, seconds, still.fps, IDLE)
    for channel, amount in posture.items():
        controls.channel(channel)[:] += amount
    posed = pose_body(still.subject, controls)
    seen = observe(
        tracker, posed, project_body(posed, still.camera), still.camera, still.subject, still.fps, NoiseSettings()
    )
    return replace(still, pose=seen.pose, hands=seen.hands, face=seen.face)


def _behind(bundle: Bundle, pair: tuple[JudgedSession, JudgedSession], settings: AggregatorSettings) -> list[Event]:
    """What is detected in the second session, by its own clock; the first comes before it where there is a baseline."""
    rest, session = pair
    rest_ns = round(settings.baseline_s * 1e9)
    joined = replace(session, ends_ns=session.ends_ns + rest_ns)
    if rest_ns:
        kept = rest.ends_ns <= rest_ns
        joined = replace(
            joined,
            ends_ns=np.concatenate((rest.ends_ns[kept], joined.ends_ns)),
            logits=np.concatenate((rest.logits[kept], joined.logits)),
        )
        if rest.parts is not None and joined.parts is not None and rest.seen is not None and joined.seen is not None:
            joined = replace(
                joined,
                parts=np.concatenate((rest.parts[kept], joined.parts)),
                seen=np.concatenate((rest.seen[kept], joined.seen)),
            )
    found = session_events(bundle, joined, settings)
    return [(index, onset - rest_ns * 1e-9, offset - rest_ns * 1e-9) for index, onset, offset in found]
