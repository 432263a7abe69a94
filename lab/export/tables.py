"""Tables: CSV, Excel and Parquet. One row an event, a marker, an estimate of the emotions."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engines.taxonomy import ACTIONS, EMOTIONS
from lab.export.content import Content
from lab.extra import need
from realtime.output.posterior_file import COLUMNS as SCORED
from realtime.output.posterior_file import POSTERIORS_FILE, read_posteriors

Rows = Sequence[Mapping[str, Any]]
COLUMNS = (
    *("onset_s", "offset_s", "duration_s", "name", "body_part", "action", "code", "index"),
    *("confidence", "candidates", "delay_s", "posture", "review", "event"),
)
MARKER_COLUMNS = ("onset_s", "offset_s", "label")
EMOTION_COLUMNS = (
    *("time_s", *EMOTIONS),
    *(f"{name}_{end}" for name in EMOTIONS for end in ("low", "high")),
    *("evidence_s", "face_visible", "abstains"),
)


def tables(content: Content) -> dict[str, tuple[Sequence[str], Rows]]:
    """Name → its columns and rows; events always, the others where there is something in them."""
    sections = [
        {"onset_s": one.onset_ms / 1000, "offset_s": one.offset_ms / 1000, "label": one.label}
        for one in content.sections
    ]
    emotions: list[dict[str, Any]] = []
    for line in content.emotions:
        row: dict[str, Any] = {"time_s": line.time_s, "evidence_s": line.evidence_s, "abstains": line.abstains}
        row |= {"face_visible": line.face_visible} | (line.probs or {})
        for name, (low, high) in (line.interval or {}).items():
            row |= {f"{name}_low": low, f"{name}_high": high}
        emotions.append(row)
    found: dict[str, tuple[Sequence[str], Rows]] = {"events": (COLUMNS, [event.row() for event in content.events])}
    found |= {"markers": (MARKER_COLUMNS, sections)} if sections else {}
    return found | ({"emotion": (EMOTION_COLUMNS, emotions)} if emotions else {})


def write_csv(content: Content, stem: Path) -> list[Path]:
    """`STEM-events.csv`, `-markers.csv`, `-emotion.csv` and `-about.csv`: UTF-8, empty where there is no value."""
    about = [{"what": key, "is": value} for key, value in content.about.items()]
    paths = []
    for name, (columns, rows) in (tables(content) | {"about": (("what", "is"), about)}).items():
        path = stem.with_name(f"{stem.name}-{name}.csv")
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        paths.append(path)
    return paths


def per_action(content: Content) -> Rows:
    """Of each name that occurs, in MA-52's order: how often, how often a minute, how long."""
    minutes = content.length_ms / 60_000
    order = {action.name: action.index for action in ACTIONS}
    names = sorted({event.name for event in content.events}, key=lambda name: (order.get(name, len(order)), name))
    rows = []
    for name in names:
        lengths_s = [(one.offset_ms - one.onset_ms) / 1000 for one in content.events if one.name == name]
        count, total = len(lengths_s), round(sum(lengths_s), 3)
        row = {"name": name, "events": count, "per_minute": round(count / minutes, 4), "total_s": total}
        rows.append(row | {"mean_s": round(total / count, 3)})
    return rows


def write_xlsx(content: Content, stem: Path) -> list[Path]:
    """`STEM.xlsx`: a sheet for each table, one for rates and durations, one about the session."""
    book = need("openpyxl").Workbook()
    book.remove(book.active)
    counted = ("name", "events", "per_minute", "total_s", "mean_s")
    about = [{"what": key, "is": value} for key, value in content.about.items()]
    sheets = tables(content) | {"actions": (counted, per_action(content)), "about": (("what", "is"), about)}
    for name, (columns, rows) in sheets.items():
        sheet = book.create_sheet(name)
        for line, values in enumerate([columns, *([row.get(key) for key in columns] for row in rows)], 1):
            for column, value in enumerate(values, 1):
                cell = sheet.cell(line, column, value)
                if isinstance(value, str):
                    cell.data_type = "s"  # a label that begins with = is no formula
        sheet.freeze_panes = "A2"
        for cell in sheet[1]:
            cell.font = need("openpyxl.styles").Font(bold=True)
    path = stem.with_name(f"{stem.name}.xlsx")
    book.save(path)
    return [path]


def write_parquet(content: Content, stem: Path) -> list[Path]:
    """`STEM-events.parquet`, `-markers.parquet`, `-emotion.parquet`; `-posteriors.parquet` where they were recorded.

    What `-about.csv` says is in their metadata.
    """
    arrow = need("pyarrow")
    text, number = arrow.string(), arrow.float64()
    kinds = {"index": arrow.int32(), "posture": arrow.bool_(), "abstains": arrow.bool_()}
    kinds |= dict.fromkeys(("name", "body_part", "action", "code", "candidates", "review", "event", "label"), text)
    paths = []
    for name, (columns, rows) in tables(content).items():
        schema = arrow.schema([(key, kinds.get(key, number)) for key in columns], metadata=dict(content.about))
        data = {key: [row.get(key) for row in rows] for key in columns}
        path = stem.with_name(f"{stem.name}-{name}.parquet")
        need("pyarrow.parquet").write_table(arrow.table(data, schema=schema), path)
        paths.append(path)
    return [*paths, *_write_posteriors(content, stem)]


def _write_posteriors(content: Content, stem: Path) -> list[Path]:
    """A row a moment: its time on the recording's own clock, then a column each action and part that is scored."""
    source = content.record.path / POSTERIORS_FILE
    if not source.is_file():
        return []
    arrow = need("pyarrow")
    times_s, values = read_posteriors(source, content.camera)
    scored = [not len(values) or not np.isnan(values[:, at]).all() for at in range(len(SCORED))]
    columns: dict[str, npt.NDArray[np.floating[Any]]] = {
        "time_s": np.round(times_s + content.record.to_file_s(content.camera), 6)
    }
    columns |= {name: values[:, at] for at, name in enumerate(SCORED) if scored[at]}
    path = stem.with_name(f"{stem.name}-posteriors.parquet")
    table = arrow.table(columns).replace_schema_metadata(dict(content.about))
    need("pyarrow.parquet").write_table(table, path, compression="zstd")
    return [path]
