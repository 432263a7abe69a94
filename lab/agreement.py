"""How far two annotations of one recording agree: events, their times, rates and durations, and beyond chance.

Three levels: actions, body parts, and `all` (was there an event at all). An event that may be any of several names
agrees with each of them; where it is counted under one name, that is the other coder's, else its first.

Every statistic follows from counts, and the counts are kept by blocks of time: intervals come from drawing blocks anew
(bootstrap), which keeps what is dependent within a block together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from engines.taxonomy import ACTIONS, BODY_PARTS
from events.scores import match_overlaps, tiou
from lab.extra import need
from lab.kappa import Kappa, cohen, doubled, modified, one_against_rest
from lab.words import Event

Level = Literal["actions", "parts", "all"]
LEVELS: tuple[Level, ...] = get_args(Level)
OVERLAPS = (0.1, 0.3, 0.5)  # intersection over union
LINKED = 0.6  # of the longer annotation, after Holle & Rein
SLICE_S = 0.1
BLOCKS, LEAST_BLOCK_S = 60, 5.0
DRAWS, ALPHA_DRAWS, SHARE = 1000, 200, (2.5, 97.5)  # percent
ORDER = [action.name for action in ACTIONS] + list(BODY_PARTS)
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Pair:
    """Events of both coders that belong together; None: the other has none."""

    first: Event | None
    second: Event | None
    name: str  # counted under it: of both where they agree, else of the first
    other: str  # what the second is counted under

    @property
    def onset_s(self) -> float:
        return min(one.onset_s for one in (self.first, self.second) if one)


def names_of(event: Event, level: Level) -> frozenset[str]:
    """What it may be called at this level."""
    return {"actions": event.names, "parts": event.parts, "all": frozenset({"event"})}[level]


def pairs(first: Sequence[Event], second: Sequence[Event], level: Level, least: float) -> list[Pair]:
    """As many pairs of one name that overlap by `least` (IoU) as possible, and all other events alone."""
    overlaps = [
        [tiou(one.span, other.span) if names_of(one, level) & names_of(other, level) else 0.0 for other in second]
        for one in first
    ]
    matched = match_overlaps(overlaps, least)
    found = []
    for at, to in matched.items():
        name = _common(first[at], second[to], level)
        found.append(Pair(first[at], second[to], name, name))
    found += [_alone(one, None, level) for at, one in enumerate(first) if at not in matched]
    used = set(matched.values())
    return found + [_alone(None, one, level) for at, one in enumerate(second) if at not in used]


def _common(one: Event, other: Event, level: Level) -> str:
    return _first(names_of(one, level) & names_of(other, level))


def _first(names: frozenset[str]) -> str:
    return min(names, key=lambda name: ORDER.index(name) if name in ORDER else -1)


def _alone(first: Event | None, second: Event | None, level: Level) -> Pair:
    one = first or second
    name = _first(names_of(one, level)) if one else ""
    return Pair(first, second, name, name)


def linked(first: Sequence[Event], second: Sequence[Event], level: Level) -> list[Pair]:
    """Holle & Rein's units: the same name first, then the larger overlap. Actions are linked within a body part."""
    candidates = []
    for at, one in enumerate(first):
        for to, other in enumerate(second):
            share = shared(one, other)
            if share >= LINKED and (level != "actions" or one.parts & other.parts):
                candidates.append((not names_of(one, level) & names_of(other, level), -share, at, to))
    used_first: set[int] = set()
    used_second: set[int] = set()
    found = []
    for differs, _, at, to in sorted(candidates):
        if at not in used_first and to not in used_second:
            used_first.add(at)
            used_second.add(to)
            one, other = first[at], second[to]
            name = _first(names_of(one, level)) if differs else _common(one, other, level)
            found.append(Pair(one, other, name, _first(names_of(other, level)) if differs else name))
    found += [_alone(one, None, level) for at, one in enumerate(first) if at not in used_first]
    return found + [_alone(None, one, level) for at, one in enumerate(second) if at not in used_second]


def shared(one: Event, other: Event) -> float:
    """Overlap as a share of the longer; 1 for two of the same moment."""
    common = min(one.offset_s, other.offset_s) - max(one.onset_s, other.onset_s)
    longer = max(one.offset_s - one.onset_s, other.offset_s - other.onset_s)
    if longer == 0.0:
        return float(one.onset_s == other.onset_s)
    return max(0.0, common) / longer


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """One level's counts by block (B first) and name (C); what `level_figures` needs."""

    names: tuple[str, ...]
    matches: FloatArray  # (B, overlaps, C, 3) matched, missed, false
    tables: FloatArray  # (B, C + 1, C + 1) linked units; the last row and column are unmatched
    slices: FloatArray  # (B, C, 2, 2) slices where [first, second] have it


def blocks_of(length_s: float) -> int:
    """How many blocks a recording is cut into."""
    return max(1, min(BLOCKS, math.floor(length_s / LEAST_BLOCK_S)))


def count(first: Sequence[Event], second: Sequence[Event], level: Level, length_s: float) -> Counts:
    """`first` is the machine, or one human; `second` the human."""
    units = linked(first, second, level)
    found = {overlap: pairs(first, second, level, overlap) for overlap in OVERLAPS}
    seen = {name for each in (units, *found.values()) for pair in each for name in (pair.name, pair.other)}
    names = tuple(sorted(seen, key=lambda name: ORDER.index(name) if name in ORDER else -1))
    index = {name: at for at, name in enumerate(names)}
    blocks, size = blocks_of(length_s), len(names)
    matches = np.zeros((blocks, len(OVERLAPS), size, 3))
    tables = np.zeros((blocks, size + 1, size + 1))

    def block(pair: Pair) -> int:
        return min(blocks - 1, int(pair.onset_s / length_s * blocks))

    for at, each in enumerate(found.values()):
        for pair in each:
            kind = 0 if pair.first and pair.second else 1 if pair.second else 2
            matches[block(pair), at, index[pair.name], kind] += 1
    for pair in units:
        row = index[pair.name] if pair.first else size
        tables[block(pair), row, index[pair.other] if pair.second else size] += 1
    return Counts(names, matches, tables, _slices(first, second, level, names, length_s))


def settled(events: Sequence[Event], others: Sequence[Event], level: Level) -> list[tuple[str, Event]]:
    """Each under one name: that of the other coder's event that it agrees with and overlaps most, else its first."""
    found = []
    for event in events:
        names = names_of(event, level)
        near = max(
            (other for other in others if names_of(other, level) & names),
            key=lambda other: tiou(event.span, other.span),
            default=None,
        )
        agrees = near is not None and len(names) > 1 and tiou(event.span, near.span) > 0.0
        found.append((_common(event, near, level) if near is not None and agrees else _first(names), event))
    return found


def present(events: Sequence[tuple[str, Event]], name: str, length_s: float) -> BoolArray:
    """(N,) whether an event of this name runs in the middle of each slice."""
    middles = (np.arange(max(1, round(length_s / SLICE_S))) + 0.5) * SLICE_S
    found = np.zeros(len(middles), np.bool_)
    for called, event in events:
        if called == name:
            found[np.searchsorted(middles, event.onset_s) : np.searchsorted(middles, event.offset_s)] = True
    return found


def _slices(
    first: Sequence[Event], second: Sequence[Event], level: Level, names: Sequence[str], length_s: float
) -> FloatArray:
    blocks = blocks_of(length_s)
    found = np.zeros((blocks, len(names), 2, 2))
    ours, theirs = settled(first, second, level), settled(second, first, level)
    for at, name in enumerate(names):
        here, there = present(ours, name, length_s), present(theirs, name, length_s)
        place = np.arange(len(here)) * blocks // len(here)
        np.add.at(found[:, at], (place, here.astype(int), there.astype(int)), 1.0)
    return found


def f1(counts: FloatArray) -> float:
    """Of (..., 3) matched, missed, false; NaN without any."""
    matched, missed, false = counts.reshape(-1, 3).sum(axis=0)
    whole = 2 * matched + missed + false
    return float(2 * matched / whole) if whole else float("nan")


def alpha(slices: FloatArray) -> float:
    """Krippendorff's, nominal, of (2, 2) counts of slices; NaN where nothing varies."""
    both = slices.round().astype(int)
    if both[1].sum() + both[:, 1].sum() == 0 or both[0].sum() + both[:, 0].sum() == 0:
        return float("nan")
    coded = np.repeat([[0, 0, 1, 1], [0, 1, 0, 1]], both.ravel(), axis=1)  # (2, N)
    return float(need("krippendorff").alpha(reliability_data=coded, level_of_measurement="nominal"))


def level_figures(counts: Counts, seed: int = 0) -> dict[str, Any]:
    """Figures of one level: in all with intervals, and by name."""
    tables, slices = counts.tables, counts.slices.sum(axis=1)  # slices of all names together
    chance_corrected = len(counts.names) > 1
    statistics: dict[str, Callable[[FloatArray], float]] = {
        f"f1_{overlap}": lambda drawn, at=at: f1(np.tensordot(drawn, counts.matches[:, at], 1))  # type: ignore[misc]
        for at, overlap in enumerate(OVERLAPS)
    }

    def table(drawn: FloatArray) -> FloatArray:
        return doubled(np.tensordot(drawn, tables, 1))

    statistics["raw_agreement"] = lambda drawn: modified(table(drawn)).raw
    if chance_corrected:
        statistics["kappa"] = lambda drawn: modified(table(drawn)).kappa
        statistics["kappa_linked"] = lambda drawn: cohen(table(drawn)[:-1, :-1]).kappa
    statistics["slice_kappa"] = lambda drawn: cohen(np.tensordot(drawn, slices, 1)).kappa
    statistics["alpha"] = lambda drawn: alpha(np.tensordot(drawn, slices, 1))
    once = np.ones(len(tables))
    whole = table(once)
    found: dict[str, Any] = {name: _number(of(once)) for name, of in statistics.items()}
    found["kappa_max"] = _number(modified(whole).highest) if chance_corrected else None
    found["kappa_linked_max"] = _number(cohen(whole[:-1, :-1]).highest) if chance_corrected else None
    found["intervals"] = _intervals(statistics, len(tables), seed)
    found["matched"], found["missed"], found["false"] = map(int, counts.matches[:, -1].sum(axis=(0, 1)))
    found["names"] = {name: _of_name(counts, at, whole) for at, name in enumerate(counts.names)}
    return found


def _of_name(counts: Counts, at: int, whole: FloatArray) -> dict[str, Any]:
    matched, missed, false = map(int, counts.matches[:, -1, at].sum(axis=0))
    kappa: Kappa = cohen(one_against_rest(whole, at))
    slices = counts.slices[:, at].sum(axis=0)
    found: dict[str, Any] = {"matched": matched, "missed": missed, "false": false}
    found |= {f"f1_{overlap}": _number(f1(counts.matches[:, place, at])) for place, overlap in enumerate(OVERLAPS)}
    found |= {"kappa": _number(kappa.kappa), "kappa_max": _number(kappa.highest), "raw_agreement": _number(kappa.raw)}
    return found | {"slice_kappa": _number(cohen(slices).kappa), "alpha": _number(alpha(slices))}


def _intervals(
    statistics: Mapping[str, Callable[[FloatArray], float]], blocks: int, seed: int
) -> dict[str, list[float] | None]:
    """95 % of each statistic when blocks are drawn anew; None where there are too few blocks, or it is not defined."""
    found: dict[str, list[float] | None] = {}
    for name, of in statistics.items():
        rng = np.random.default_rng(seed)  # the same draws for each
        draws = ALPHA_DRAWS if name == "alpha" else DRAWS
        drawn = rng.multinomial(blocks, np.full(blocks, 1.0 / blocks), size=draws).astype(np.float64)
        values: FloatArray = np.array([of(one) for one in drawn] if blocks > 1 else [np.nan])
        values = values[np.isfinite(values)]
        found[name] = np.percentile(values, SHARE).round(4).tolist() if len(values) else None
    return found


def errors(first: Sequence[Event], second: Sequence[Event]) -> dict[str, Any]:
    """Of matched actions at half overlap: the first's onset and offset less the second's, in s."""
    both = [pair for pair in pairs(first, second, "actions", OVERLAPS[-1]) if pair.first and pair.second]
    found: dict[str, Any] = {"pairs": len(both)}
    for name in ("onset_s", "offset_s"):
        late = np.array([getattr(pair.first, name) - getattr(pair.second, name) for pair in both])
        found[name] = (
            {"median": _number(float(np.median(late))), "mean_absolute": _number(float(np.abs(late).mean()))}
            if len(late)
            else None
        )
    return found


def correlations(first: Sequence[Event], second: Sequence[Event], level: Level, length_s: float) -> dict[str, Any]:
    """Pearson's, over the names that either uses: events a minute, and total duration."""
    coders = settled(first, second, level), settled(second, first, level)
    names = sorted({name for events in coders for name, _ in events})
    rates, durations = np.zeros((2, len(names))), np.zeros((2, len(names)))
    for coder, events in enumerate(coders):
        for name, event in events:
            rates[coder, names.index(name)] += 60.0 / length_s
            durations[coder, names.index(name)] += event.offset_s - event.onset_s
    return {"names": len(names), "rate": _pearson(rates), "duration": _pearson(durations)}


def _pearson(values: FloatArray) -> float | None:
    if values.shape[1] < 2 or not values.std(axis=1).all():
        return None
    return _number(float(np.corrcoef(values[0], values[1])[0, 1]))


def _number(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None


def agreement(first: Sequence[Event], second: Sequence[Event], length_s: float, seed: int = 0) -> dict[str, Any]:
    """Everything: by level, and of times, rates and durations. None where a figure is not defined."""
    found: dict[str, Any] = {level: level_figures(count(first, second, level, length_s), seed) for level in LEVELS}
    for level in LEVELS[:2]:
        found[level]["correlation"] = correlations(first, second, level, length_s)
    sizes = {"first": len(first), "second": len(second), "length_s": round(length_s, 3)}
    return found | {"errors": errors(first, second), "events": sizes, "blocks": blocks_of(length_s)}
