"""NWB: the events as bouts of an ethogram (ndx-ethogram), markers as intervals, the emotions as a time series."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from engines.common.errors import BadInput
from engines.taxonomy import ACTIONS, BODY_PARTS, EMOTIONS
from lab.export.content import Content, definition, started_at
from lab.extra import need


def write(content: Content, stem: Path) -> list[Path]:
    """`STEM.nwb`.

    Raises:
        BadInput: the time of day at which the session began, without which there is no NWB file, is not known.
    """
    pynwb = need("pynwb")
    record, begun = content.record, started_at(content.record)
    if begun is None:
        raise BadInput("a record with its session.json for nwb", str(record.path), "give the DIR of --record")
    file = pynwb.NWBFile(
        session_description="Micro-actions of one seated person",
        identifier=f"{record.id}-{content.camera}",
        session_start_time=begun,
        experimenter=record.metadata.get("interviewer"),
        protocol=record.metadata.get("protocol"),
        notes=json.dumps(dict(content.about), ensure_ascii=False),
    )
    file.subject = pynwb.file.Subject(subject_id=content.participant, species="Homo sapiens")
    module = file.create_processing_module("behavior", "micro-actions and what the expression shows")
    catalogue = _catalogue()
    module.add(catalogue)
    module.add(_bouts(content, catalogue))
    if content.sections:
        markers = pynwb.epoch.TimeIntervals(
            name="markers", description="moments marked while the session ran, up to the next"
        )
        markers.add_column(name="label", description="what was marked")
        for one in content.sections:
            markers.add_interval(start_time=one.onset_ms / 1000, stop_time=one.offset_ms / 1000, label=one.label)
        file.add_time_intervals(markers)
    if content.emotions:
        module.add(_emotions(content))
    path = stem.with_name(f"{stem.name}.nwb")
    with pynwb.NWBHDF5IO(str(path), "w") as io:
        io.write(file)
    return [path]


def _catalogue() -> Any:
    catalogue = need("ndx_ethogram").Ethogram(name="ma52", description="MA-52 and its body parts", exclusive=False)
    columns = {"behavior_type": "state or point", "native_code": "index in MA-52", "category": "body part"}
    for name, description in columns.items():
        catalogue.add_column(name, description)
    for number, part in enumerate(BODY_PARTS):
        known = {"behavior": part, "definition": "the body part alone is known", "behavior_type": "state"}
        catalogue.add_row(**known, native_code=len(ACTIONS) + number, category=part)
    for one in ACTIONS:
        known = {"behavior": one.name, "definition": definition(one), "behavior_type": "state"}
        catalogue.add_row(**known, native_code=one.index, category=one.body_part)
    return catalogue


def _bouts(content: Content, catalogue: Any) -> Any:
    bouts = need("ndx_ethogram").EthogramBouts(
        name="micro_actions",
        description="times on the recording's own clock",
        labeling_method="curated" if content.reviewed else "automated",
        source_software=f"manet-live, model {content.record.model}",
        parameters=json.dumps(dict(content.about), ensure_ascii=False),
        ethogram=catalogue,
    )
    columns = {
        "body_part": "body part",
        "confidence": "mean calibrated posterior; NaN: a person added the event",
        "candidates": "the body part's likeliest actions",
        "delay_s": "from the onset to the confirmation",
        "review": "what a person did to it",
    }
    for name, description in columns.items() if content.events else ():  # without rows they would have no type
        bouts.add_column(name, description)
    for event in content.events:
        row = event.row()
        bouts.add_interval(
            start_time=row["onset_s"],
            stop_time=row["offset_s"],
            label=row["name"],
            body_part=row["body_part"],
            confidence=_number(row["confidence"]),
            candidates=row["candidates"] or "",
            delay_s=_number(row["delay_s"]),
            review=row["review"] or "",
        )
    return bouts


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _emotions(content: Content) -> Any:
    shares = [[(line.probs or {}).get(name, np.nan) for name in EMOTIONS] for line in content.emotions]
    return need("pynwb").TimeSeries(
        name="expression",
        description=f"share of {', '.join(EMOTIONS)} in the expression, not the feeling; NaN where it abstains",
        data=np.array(shares, np.float64),
        unit="share",
        timestamps=[line.time_s for line in content.emotions],
    )
