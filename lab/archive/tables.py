"""The tables of one recording, written as its session runs: Parquet files of bounded row groups.

Nothing in them depends on the time of day, the machine or its speed: the same recording gives the same bytes.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Mapping
from math import isnan
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from engines.taxonomy import ACTIONS, BODY_PARTS, EMOTIONS
from events.types import EventState
from realtime.output.lines import (
    ActionLine,
    EmotionLine,
    Line,
    Posteriors,
    RecordingLine,
    SessionLine,
    StatsLine,
    SummaryLine,
    VisibilityLine,
)
from realtime.output.observer import Observer, OutputLost

CLOSING_S = 120.0  # that a slow disk gets for the last rows
ROWS = 4096  # that wait in memory, and of a row group
_COUNTS, _SECONDS, _TEXTS = (pa.map_(pa.string(), kind) for kind in (pa.int64(), pa.float64(), pa.string()))
_PROBABILITIES = pa.map_(pa.string(), pa.float32())

SCHEMAS: dict[str, pa.Schema] = {
    "events": pa.schema(
        {
            "id": pa.int32(),
            "action": pa.string(),  # null: only the body part is known
            "index": pa.int8(),
            "body_part": pa.string(),
            "onset_s": pa.float64(),
            "offset_s": pa.float64(),
            "confirmed_s": pa.float64(),
            "confidence": pa.float32(),
            "posture": pa.bool_(),
            "candidates": _PROBABILITIES,
        }
    ),
    "emotions": pa.schema(
        {
            "time_s": pa.float64(),
            "abstains": pa.bool_(),
            **{name: pa.float32() for name in EMOTIONS},
            **{f"{name}_{end}": pa.float32() for name in EMOTIONS for end in ("low", "high")},  # 95 % credible
            "neutral": pa.float32(),
            "evidence_s": pa.float32(),
            "face_visible": pa.float32(),
        }
    ),
    "visibility": pa.schema(
        {"time_s": pa.float64(), "people": pa.int8(), "out_of_view": pa.list_(pa.string()), "unreliable": _TEXTS}
    ),
    "posteriors": pa.schema(
        {
            "time_s": pa.float64(),
            "actions": pa.list_(pa.float32(), len(ACTIONS)),
            "parts": pa.list_(pa.float32(), len(BODY_PARTS)),
        }
    ),
    "quality": pa.schema(
        {
            "path": pa.string(),
            "bytes": pa.int64(),
            "model": pa.string(),
            "engine": pa.string(),
            "recorded_s": pa.float64(),
            "file_offset_s": pa.float64(),
            "width": pa.int32(),
            "height": pa.int32(),
            "fps": pa.float64(),
            "stream": pa.int16(),
            "frames": pa.int64(),
            "dropped": _COUNTS,
            "restarts": pa.int32(),
            "windows_due": pa.int64(),
            "judged": pa.int64(),
            "baseline": pa.int64(),
            "skipped": _COUNTS,
            "emotion_judged": pa.int64(),
            "emotion_skipped": _COUNTS,
            "events": pa.int64(),
            "retracted": pa.int64(),
            "nobody_s": pa.float64(),
            "one_s": pa.float64(),
            "several_s": pa.float64(),
            "no_picture_s": pa.float64(),
            "out_of_view_s": _SECONDS,
            "unreliable": _TEXTS,
        }
    ),
    "errors": pa.schema({"path": pa.string(), "bytes": pa.int64(), "reason": pa.string(), "set_aside": pa.bool_()}),
}


class Table:
    """One file, written in groups of `ROWS` rows."""

    def __init__(self, folder: Path, name: str) -> None:
        self._schema, self._rows = SCHEMAS[name], list[dict[str, Any]]()
        self._file = pq.ParquetWriter(folder / f"{name}.parquet", self._schema, compression="zstd")
        self.count = 0

    def add(self, row: Mapping[str, Any]) -> None:
        """Fields that the table lacks are left out, mappings become maps."""
        given = {key: row[key] for key in self._schema.names if row.get(key) is not None}
        self._rows.append({key: list(one.items()) if isinstance(one, Mapping) else one for key, one in given.items()})
        self.count += 1
        if len(self._rows) >= ROWS:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._file.close()

    def _flush(self) -> None:
        self._file.write_table(pa.Table.from_pylist(self._rows, self._schema))
        self._rows.clear()


def write_row(folder: Path, name: str, row: Mapping[str, Any]) -> None:
    """A table of one row."""
    table = Table(folder, name)
    table.add(row)
    table.close()


class TablesOutput(Observer):
    """The tables of a recording whose session runs.

    Attributes:
        error: the disk is full or gone: that is not the recording's fault.
    """

    name = "the dataset"
    whole = True

    def __init__(self, folder: Path, posteriors: bool, emotions: bool) -> None:
        self.wants_posteriors, self._folder = posteriors, folder
        names = ["events", "visibility", *["posteriors"] * posteriors, *["emotions"] * emotions]
        self._tables = {name: Table(folder, name) for name in names}
        self._retracted, self._quality = 0, dict[str, Any]()
        self._confirmed_s: dict[int, float] = {}  # of events that still run
        self._closed = threading.Event()
        self.error: OSError | None = None

    def on_line(self, line: Line) -> None:
        self._guarded(lambda: self._take(line))

    def on_posteriors(self, posteriors: Posteriors) -> None:
        values = posteriors.values.tolist()
        actions, parts = values[: len(ACTIONS)], values[len(ACTIONS) :]
        row = {"time_s": round(posteriors.time_s, 6), "actions": actions, "parts": None if isnan(parts[0]) else parts}
        self._guarded(lambda: self._tables["posteriors"].add(row))

    def _guarded(self, write: Callable[[], None]) -> None:
        try:
            write()
        except OSError as error:
            self.error = error
            raise OutputLost(f"{self.name}: {error.strerror}") from None

    def _take(self, line: Line) -> None:
        if isinstance(line, ActionLine):
            if line.state == EventState.CONFIRMED.value:
                self._confirmed_s[line.id] = line.emitted_s
            elif line.state == EventState.ENDED.value:
                known = {"candidates": line.candidates or {}, "posture": line.posture is True}
                known["confirmed_s"] = self._confirmed_s.pop(line.id, None)
                self._tables["events"].add(msgspec.structs.asdict(line) | known)
            self._retracted += line.state == EventState.RETRACTED.value
        elif isinstance(line, EmotionLine):
            ends = {
                f"{name}_{end}": value
                for name, pair in (line.interval or {}).items()
                for end, value in zip(("low", "high"), pair, strict=True)
            }
            self._tables["emotions"].add(msgspec.structs.asdict(line) | (line.probs or {}) | ends)
        elif isinstance(line, VisibilityLine):
            self._tables["visibility"].add(msgspec.structs.asdict(line))
        elif isinstance(line, (SessionLine, StatsLine, SummaryLine, RecordingLine)):
            self._note(line)

    def _note(self, line: SessionLine | StatsLine | SummaryLine | RecordingLine) -> None:
        """What the row of the recording's quality is made of."""
        fields = msgspec.structs.asdict(line)
        if isinstance(line, SessionLine):
            fields = {"model": line.model, "engine": line.engine}
        elif isinstance(line, StatsLine):
            fields = {"frames": line.frames, "dropped": line.dropped, "restarts": line.restarts}
            if line.emotion_windows is not None:
                totals = line.emotion_windows
                fields |= {"emotion_judged": totals.judged, "emotion_skipped": totals.skipped}
        self._quality |= fields

    def close(self) -> None:
        try:
            for table in self._tables.values():
                table.close()
        except OSError as error:
            self.error = error
        self._closed.set()

    def finish(self, row: Mapping[str, Any]) -> None:
        """The session is over and was whole: its row of quality, with what the caller knows of the recording.

        Raises:
            OSError: the disk.
        """
        if not self._closed.wait(CLOSING_S):
            raise TimeoutError(errno.ETIMEDOUT, f"the tables were not written in {CLOSING_S:g} s", str(self._folder))
        if self.error is not None:
            raise self.error
        counts = {"events": self._tables["events"].count, "retracted": self._retracted}
        write_row(self._folder, "quality", self._quality | counts | dict(row))
