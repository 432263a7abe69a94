"""Batches for landmark networks: windows of simulated sessions, and sequences of real people where there are some.

Everything random about a batch is a function of (seed, epoch, number).
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from engines.landmarks.recordings import GESTURES, RealSequence
from engines.taxonomy import ACTIONS
from simulation.landmark_cache import LandmarkSessions
from training.landmarks.augment import REAL, SIMULATED, augment, framed
from training.landmarks.windows import Cut, cut, gather

RATES_HZ = (8.0, 34.0)  # of cameras, log-uniform: simulated pictures are left out to get there
REAL_RATES_HZ = (8.0, 30.0)  # that recordings without a rate may have had
UNEVEN = 0.1  # std of a picture's time, of the time between two
COLD_START = 0.2  # share of windows in which the recording has only just begun
AT_THE_START = 0.2  # share of windows that lie anywhere, so also at the session's beginning
LEAST_S = 0.5
CHOSEN = 0.5  # share of windows that show an action drawn evenly: some are rare, or cannot be seen by every camera
AFTER_ONSET_S, AFTER_OFFSET_S = 0.3, 1.2  # where such windows end
SEEN = 0.5  # share of an action's time in which it must be visible; less: it cannot be told
UNSURE = {"high": 1.0, "medium": 0.5, "low": 0.0}
LEAST_REST = 8  # pictures
GESTURES_ALONE = 0.6  # sampling weight of sequences that show a moving hand and nothing else

Rng = np.random.Generator


class SimulatedWindows:
    """Windows at random places and camera rates, with what runs at each step."""

    def __init__(self, sessions: LandmarkSessions, steps: int) -> None:
        self._frames = torch.from_numpy(sessions.frames)
        self._sessions, self._steps = sessions, steps
        order = np.argsort(sessions.events[:, 0], kind="stable")
        ends = np.searchsorted(sessions.events[order, 0], np.arange(len(sessions.fps) + 1))
        self._events = [sessions.events[order[a:b], 1:] for a, b in itertools.pairwise(ends)]
        seen = sessions.events[:, 4] >= SEEN
        shown = [np.flatnonzero(seen & (sessions.events[:, 1] == at)) for at in range(len(ACTIONS))]
        self._shown = [events for events in shown if len(events)]  # rows of the events of each action

    def batch(self, rng: Rng, count: int, chosen: float = 0.0) -> tuple[Tensor, Tensor]:
        """Landmarks (count, T, POINTS, CHANNELS) as tracked, and targets (count, T, 52): 1, 0, or -1 for unseen.

        chosen: share of windows that end in or soon after an event of an action drawn at random; the others are
            anywhere.
        """
        cuts, aspects, targets = [], [], []
        for _ in range(count):
            number, end_s = int(rng.integers(len(self._sessions.fps))), None
            if rng.random() < chosen and self._shown:
                at = int(rng.choice(self._shown[int(rng.integers(len(self._shown)))]))
                session, _, onset, offset, _ = self._sessions.events[at]
                number, end_s = int(session), rng.uniform(onset + AFTER_ONSET_S, offset + AFTER_OFFSET_S)
            window = self._window(rng, number, end_s)
            cuts.append(window)
            aspects.append(float(self._sessions.aspect[number]))
            targets.append(running(self._events[number], window.times_s))
        return gather(self._frames, cuts, aspects), torch.from_numpy(np.stack(targets))

    def _window(self, rng: Rng, number: int, end_s: float | None) -> Cut:
        first, last = (int(one) for one in self._sessions.first[number : number + 2])
        fps, count = float(self._sessions.fps[number]), last - first
        kept = thinned(rng, count, fps)
        times = kept / fps
        span = 0.05 * self._steps
        end = rng.uniform(LEAST_S if rng.random() < AT_THE_START else min(span, times[-1] - LEAST_S), times[-1])
        if end_s is not None:
            end = min(max(end_s, LEAST_S), times[-1])
        stop = max(int(np.searchsorted(times, end, side="right")), 2)
        start = 0
        if rng.random() < COLD_START:
            start = min(int(np.searchsorted(times, end - rng.uniform(LEAST_S, span))), stop - 2)
        return cut(times[start:stop], first + kept[start:stop], self._steps)


class RealWindows:
    """Whole sequences of real people with sets of labels, evenly over files and sets, and rest as background."""

    def __init__(self, files: Sequence[Sequence[RealSequence]], steps: int) -> None:
        self._steps = steps
        self._sequences: list[RealSequence] = []
        groups: dict[tuple[int, tuple[int, ...]], list[int]] = {}
        for file, sequences in enumerate(files):
            for one in [*sequences, *(piece for piece in map(at_rest, sequences) if piece is not None)]:
                if UNSURE[one.confidence] > 0.0:
                    groups.setdefault((file, one.likely), []).append(len(self._sequences))
                    self._sequences.append(one)
        self._first = np.cumsum([0, *(len(one.frames) for one in self._sequences)])
        self._frames = torch.from_numpy(np.concatenate([one.frames for one in self._sequences]))
        self._groups = list(groups.values())
        weights = [len(a) ** 0.5 * (GESTURES_ALONE if key[1] == (GESTURES,) else 1.0) for key, a in groups.items()]
        self._chances = np.array(weights) / np.sum(weights)

    def batch(self, rng: Rng, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """Landmarks (count, T, POINTS, CHANNELS), sets (count, 52) and how sure they are (count,)."""
        cuts, aspects = [], []
        sets, weights = torch.zeros(count, len(ACTIONS)), torch.zeros(count)
        for row, group in enumerate(rng.choice(len(self._groups), size=count, p=self._chances)):
            number = int(rng.choice(self._groups[group]))
            one = self._sequences[number]
            fps = float(np.exp(rng.uniform(*np.log(REAL_RATES_HZ))))
            frames = np.arange(len(one.frames))
            times = np.sort(frames + rng.normal(0.0, UNEVEN, len(frames))) / fps
            cuts.append(cut(times, self._first[number] + frames, self._steps))
            aspects.append(one.aspect)
            sets[row, list(one.likely)] = 1.0
            weights[row] = UNSURE[one.confidence]
        return gather(self._frames, cuts, aspects), sets, weights


def at_rest(sequence: RealSequence) -> RealSequence | None:
    """The part of a sequence without hands, as background; none where it is short or all of it is."""
    begin, end = sequence.rest
    if not sequence.labels or end - begin < LEAST_REST:
        return None
    return dataclasses.replace(sequence, labels=(), frames=sequence.frames[begin:end], confidence="medium")


def thinned(rng: Rng, count: int, fps: float) -> npt.NDArray[np.int64]:
    """Numbers of the pictures that a camera of a random rate would have taken, of `count` at `fps`."""
    rate = float(np.exp(rng.uniform(*np.log(RATES_HZ))))
    if rate >= 0.9 * fps:
        return np.arange(count)
    wanted = np.arange(rng.uniform(0.0, 1.0), count * rate / fps) * (fps / rate)
    shaken = np.round(wanted + rng.normal(0.0, UNEVEN * fps / rate, len(wanted)))
    return np.unique(np.clip(shaken, 0, count - 1).astype(np.int64))


def running(events: npt.NDArray[np.float64], times_s: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """(T, 52): 1 while an action runs, -1 while one runs that the camera hardly shows, else 0."""
    targets = np.zeros((len(times_s), len(ACTIONS)), np.float32)
    for index, onset, offset, seen in events[np.argsort(events[:, 3], kind="stable")]:  # the seen ones decide
        targets[(times_s >= onset) & (times_s <= offset), int(index)] = 1.0 if seen >= SEEN else -1.0
    return targets


class MixedBatches:
    """Batches of both kinds, augmented anew each time.

    Args:
        simulated, real: where windows come from; without real ones, batches are all simulated.
        size: of a batch.
        real_share: of a batch, real sequences.
        seed: of everything random.
    """

    def __init__(
        self, simulated: SimulatedWindows, real: RealWindows | None, size: int, real_share: float, seed: int
    ) -> None:
        self._simulated, self._real, self._seed = simulated, real, seed
        self._real_count = round(size * real_share) if real is not None else 0
        self._size = size

    def make(self, epoch: int, number: int) -> dict[str, Tensor]:
        """landmarks (B, T, POINTS, CHANNELS); targets of the simulated ones, which come first; sets and weights."""
        rng = np.random.default_rng([self._seed, epoch, number])
        generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
        landmarks, targets = self._simulated.batch(rng, self._size - self._real_count, CHOSEN)
        landmarks, targets = framed(landmarks, targets, generator)
        batch = {"landmarks": augment(landmarks, SIMULATED, generator), "targets": targets}
        if self._real is not None and self._real_count:
            real, sets, weights = self._real.batch(rng, self._real_count)
            batch["landmarks"] = torch.cat([batch["landmarks"], augment(real, REAL, generator)])
            batch |= {"sets": sets, "weights": weights}
        return batch
