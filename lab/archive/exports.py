"""A dataset's recordings in the formats of `lab export`, made of the tables: DATASET/exports/FORMAT/ID/."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq

from engines import bundle as bundles
from engines.bundle import Bundle
from engines.card import ModelCard
from engines.common.errors import BadInput
from engines.common.log import log
from engines.taxonomy import EMOTIONS
from lab.archive.dataset import Dataset, Order
from lab.archive.recordings import Recording
from lab.corrections import BY_NAME, RecordedEvent
from lab.export.content import content
from lab.export_command import FORMATS, formats
from lab.session_record import SessionRecord
from realtime.output.lines import EmotionLine, RecordingLine, SummaryLine

TIME_OF_DAY = "nwb"  # the format that needs when a session began, which a recording does not say

Row = Mapping[str, Any]
_EMPTY: Row = {
    **dict.fromkeys(("model", "engine"), ""),
    **dict.fromkeys(("skipped", "unreliable"), ()),
    **dict.fromkeys(("width", "height", "stream", "windows_due", "judged", "baseline"), 0),
    **dict.fromkeys(("fps", "recorded_s", "file_offset_s", "no_picture_s"), 0.0),
    **dict.fromkeys(("nobody_s", "one_s", "several_s", "out_of_view_s")),
}


def formats_of(names: str | None) -> list[str]:
    """The formats asked for; `all`: those that a recording has enough for.

    Raises:
        BadInput: one that is not known, or that needs what a recording does not say; or its package is missing.
    """
    if names is None:
        return []
    asked = [one for one in formats(names) if names != "all" or one != TIME_OF_DAY]
    if TIME_OF_DAY in asked:
        known = ", ".join(one for one in FORMATS if one != TIME_OF_DAY)
        got = f"{TIME_OF_DAY}, which needs the time of day at which a session began"
        raise BadInput(f"formats of {known}", got, "leave it out, or export a recorded session")
    with tempfile.TemporaryDirectory(prefix="manet-live-") as folder:  # a missing package shows before hours of work
        for one in asked:
            FORMATS[one](content(_record("one", Path("one.mp4"), _EMPTY)), Path(folder, one))
    return asked


def export_archive(dataset: Dataset, order: Order, recordings: Sequence[Recording], names: Sequence[str]) -> list[str]:
    """Write what is not there yet. Returns a sentence for each that could not be written."""
    if not names:
        return []
    card = Bundle.load(bundles.find(order.model)).card
    failed = []
    for recording in recordings:
        todo = [name for name in names if not dataset.export_path(name, recording.id).exists()]
        if not todo or dataset.state(recording.id) != "archived":
            continue
        found = content(record_of(dataset, order, recording, card))
        for name in todo:
            try:
                with dataset.new_export(name, recording.id) as folder:
                    FORMATS[name](found, folder / recording.id)
            except BadInput as error:
                failed.append(f"{recording.path.name} as {name}: {error}")
                log.warning("%s", failed[-1])
    return failed


def record_of(dataset: Dataset, order: Order, recording: Recording, card: ModelCard) -> SessionRecord:
    """An archived recording as a session that was recorded; who was where is left in the dataset."""
    folder = dataset.recording_path(recording.id)
    rows = {name: _rows(folder / f"{name}.parquet") for name in ("events", "emotions", "quality")}
    described = {"config": order.config, "model": msgspec.to_builtins(card), "sources": [str(recording.path)]}
    record = _record(recording.id, recording.path, rows["quality"][0], described, card.provenance.trained_on)
    events = tuple(sorted(map(_event, rows["events"]), key=lambda event: (event.onset_s, event.key)))
    return replace(record, events=events, emotions=tuple(map(_emotion, rows["emotions"])))


def _record(
    name: str, path: Path, quality: Row, described: Mapping[str, Any] | None = None, trained_on: str = ""
) -> SessionRecord:
    """Without its events."""
    width, height, fps, stream = (quality[key] for key in ("width", "height", "fps", "stream"))
    recording = RecordingLine(0, str(path), quality["file_offset_s"], width, height, fps, stream + 1, stream)
    known = {key: value for key, value in quality.items() if key in SummaryLine.__struct_fields__}
    known |= {key: dict(known[key]) for key in ("skipped", "unreliable", "out_of_view_s") if known[key] is not None}
    return SessionRecord(
        id=name,
        path=Path(name),
        description=described or {},
        model=quality["model"],
        engine=quality["engine"],
        trained_on=trained_on,
        consent=None,
        sources=(str(path),),
        events=(),
        emotions=(),
        markers=(),
        visibility=(),
        stats=(),
        recordings={0: recording},
        summaries={0: msgspec.convert({"kind": "summary", "camera": 0, **known}, SummaryLine)},
        notes=(),
        end="ended",
        missing=(),
    )


def _event(row: Row) -> RecordedEvent:
    return RecordedEvent(
        key=f"0.{row['id']}",
        camera=0,
        action=None if row["action"] is None else BY_NAME[row["action"]],
        body_part=row["body_part"],
        onset_s=row["onset_s"],
        offset_s=row["offset_s"],
        confidence=round(row["confidence"], 4),
        candidates={name: round(share, 4) for name, share in row["candidates"] or ()},
        emitted_s=row["confirmed_s"],
        posture=row["posture"],
    )


def _emotion(row: Row) -> EmotionLine:
    shares = None if row["abstains"] else {name: round(row[name], 4) for name in EMOTIONS}
    within = None
    if not row["abstains"]:
        within = {name: (round(row[f"{name}_low"], 4), round(row[f"{name}_high"], 4)) for name in EMOTIONS}
    seen = {name: round(row[name], 3) for name in ("evidence_s", "face_visible", "neutral")}
    return EmotionLine(0, row["time_s"], shares, within, abstains=row["abstains"], **seen)


def _rows(file: Path) -> list[Row]:
    found: list[Row] = pq.read_table(file).to_pylist() if file.exists() else []
    return found
