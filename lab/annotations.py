"""Annotations of a recording, a machine's or a human's, from the formats that laboratories use.

Times are seconds on the recording's own clock: what an .eaf's TIME_ORIGIN or a record's file offset shifts is undone.
"""

from __future__ import annotations

import csv
import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from engines.common.errors import BadInput
from lab.export.content import content
from lab.extra import need
from lab.session_record import read_session

SKIPPED_TIERS = ("markers", "disagreement")  # what `export` and `agreement` write beside the events
ONSETS = ("onset_s", "onset", "start", "begin", "start_s", "begin time - ss.msec", "start (s)")
OFFSETS = ("offset_s", "offset", "stop", "end", "stop_s", "end_s", "end time - ss.msec", "stop (s)")
DURATIONS = ("duration_s", "duration", "duration (s)")
LABELS = ("name", "label", "trial_type", "behavior", "behaviour", "action", "code", "annotation", "value")
NO_VALUE = ("", "n/a", "NA")


@dataclass(frozen=True, slots=True)
class Annotation:
    """One word of a coder, from onset to offset."""

    word: str
    onset_s: float
    offset_s: float


@dataclass(frozen=True, slots=True)
class Annotations:
    """All of a file, by onset."""

    path: Path
    found: tuple[Annotation, ...]
    length_s: float | None = None  # of the recording, where the file says so

    @property
    def words(self) -> list[str]:
        return sorted({one.word for one in self.found})


def read_annotations(path: Path) -> Annotations:
    """Raises BadInput: a format that is not known, or a file that is not what its name says."""
    name = path.name.lower()
    suffix = ".jsonl" if path.is_dir() else "".join(Path(name).suffixes[-1:])
    reader = READERS.get(suffix)
    if reader is None:
        wanted = "a recorded session, or one of .eaf, .boris, .csv, .tsv, .TextGrid"
        raise BadInput(wanted, str(path), "export it as one of these")
    try:
        found, length_s = reader(path)
    except (OSError, ValueError, KeyError, IndexError, TypeError, SyntaxError) as error:
        why = error.strerror if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
        raise BadInput(f"annotations in {suffix}", f"{path} ({why})", "check the file") from None
    for one in found:
        if not 0.0 <= one.onset_s <= one.offset_s < float("inf"):
            got = f"{path}: {one.word!r} from {one.onset_s} to {one.offset_s} s"
            raise BadInput("annotations that end after they begin", got, "correct the file")
    return Annotations(path, tuple(sorted(found, key=lambda one: (one.onset_s, one.offset_s, one.word))), length_s)


_Found = tuple[list[Annotation], float | None]


def _session(path: Path) -> _Found:
    whole = content(read_session(path))
    found = [Annotation(one.name, one.onset_ms / 1000, one.offset_ms / 1000) for one in whole.events]
    return found, whole.length_ms / 1000


def _elan(path: Path) -> _Found:
    """Of tiers with times of their own, of any version. An annotation without a value has its tier's name."""
    root = ElementTree.parse(path).getroot()
    tiers = list(root.iter("TIER"))
    if not tiers:
        raise BadInput("an .eaf with tiers", f"{path}, which has none", "annotate it first")
    media = next(root.iter("MEDIA_DESCRIPTOR"), None)
    origin_ms = int(media.get("TIME_ORIGIN") or 0) if media is not None else 0
    slots = {slot.attrib["TIME_SLOT_ID"]: slot.get("TIME_VALUE") for slot in root.iter("TIME_SLOT")}
    found = []
    for tier in tiers:
        name = tier.attrib["TIER_ID"]
        if tier.get("PARENT_REF") or name.split(" ")[0] in SKIPPED_TIERS:
            continue
        for one in tier.iter("ALIGNABLE_ANNOTATION"):
            onset, offset = (slots[one.attrib[f"TIME_SLOT_REF{end}"]] for end in (1, 2))
            if onset is None or offset is None:
                raise ValueError(f"an annotation of {name} has no time")
            word = (one.findtext("ANNOTATION_VALUE") or "").strip() or name
            found.append(Annotation(word, (int(onset) + origin_ms) / 1000, (int(offset) + origin_ms) / 1000))
    return found, None


def _boris(path: Path) -> _Found:
    """Of the project's one observation; state events in pairs, point events without a length."""
    project = json.loads(path.read_text(encoding="utf-8"))
    observations: Mapping[str, Any] = project["observations"]
    if len(observations) != 1:
        got = f"{path} with {len(observations)}"
        raise BadInput("a BORIS project with one observation", got, "export the one that is meant")
    (observation,) = observations.values()
    kinds = {one["code"]: one["type"].lower() for one in project["behaviors_conf"].values()}
    running: dict[tuple[str, str, str], float] = {}
    found = []
    for time_s, subject, code, modifier, *_ in observation["events"]:
        if "state" not in kinds[code]:
            if code != "marker":
                found.append(Annotation(code, float(time_s), float(time_s)))
            continue
        begun = running.pop((subject, code, modifier), None)
        if begun is None:
            running[subject, code, modifier] = float(time_s)
        else:
            found.append(Annotation(code, begun, float(time_s)))
    if running:
        (_, code, _), begun = next(iter(running.items()))
        got = f"{path}: {code!r} at {begun:g} s does not stop"
        raise BadInput("state events that start and stop", got, "pair it in BORIS")
    lengths = [float(length) for length in (observation.get("media_info") or {}).get("length", {}).values()]
    return found, max(lengths, default=None)


def _table(path: Path) -> _Found:
    """Comma, semicolon or tab; the columns by their usual names."""
    text = path.read_text(encoding="utf-8-sig")
    head = text.split("\n", 1)[0]
    delimiter = max("\t;,", key=head.count)
    plain = path.suffix.lower() == ".tsv"
    quoting: Literal[0, 3] = csv.QUOTE_NONE if plain else csv.QUOTE_MINIMAL
    rows = list(csv.DictReader(text.splitlines(), delimiter=delimiter, quoting=quoting))
    columns = {name.strip().lower(): name for name in next(csv.reader([head], delimiter=delimiter), [])}

    def column(names: tuple[str, ...]) -> str | None:
        return next((columns[name] for name in names if name in columns), None)

    onset, offset, duration, label = column(ONSETS), column(OFFSETS), column(DURATIONS), column(LABELS)
    if onset is None or label is None or (offset is None and duration is None):
        wanted = "columns for onset, offset or duration, and name"
        raise BadInput(wanted, f"{path} with {', '.join(columns) or 'none'}", "name them onset_s, offset_s, name")
    marker = columns.get("body_part") if plain else None  # of our own BIDS export
    found = []
    for row in rows:
        if row[label] in NO_VALUE or (marker is not None and row[marker] in NO_VALUE):
            continue
        begin_s = float(row[onset])
        end_s = float(row[offset]) if offset is not None else begin_s + _number(row[str(duration)])
        found.append(Annotation(row[label].strip(), begin_s, end_s))
    return found, None


def _number(text: str) -> float:
    return 0.0 if text in NO_VALUE else float(text)


def _praat(path: Path) -> _Found:
    praat = need("praatio.textgrid")
    grid = praat.openTextgrid(str(path), includeEmptyIntervals=False, reportingMode="silence")
    found = []
    for tier in grid.tiers:
        if isinstance(tier, praat.IntervalTier) and tier.name.split(" ")[0] not in SKIPPED_TIERS:
            # praatio leaves Praat's doubled quotes as they are
            found += [Annotation(one.label.replace('""', '"'), one.start, one.end) for one in tier.entries]
    return found, float(grid.maxTimestamp)


READERS: Mapping[str, Callable[[Path], _Found]] = {
    ".jsonl": _session,
    ".eaf": _elan,
    ".boris": _boris,
    ".csv": _table,
    ".tsv": _table,
    ".textgrid": _praat,
}
