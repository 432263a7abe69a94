"""BIDS: a small data set with `*_events.tsv` and its sidecar, which the validator passes."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

from engines.taxonomy import ACTIONS, BODY_PARTS
from lab.export.content import Content, definition

VERSION = "1.10.0"
TASK = "interview"
COLUMNS = ("onset", "duration", "trial_type", "body_part", "confidence", "candidates", "delay", "review")
DESCRIPTIONS: dict[str, dict[str, Any]] = {
    "onset": {"Description": "Onset on the recording's own clock", "Units": "s"},
    "duration": {"Description": "Duration", "Units": "s"},
    "trial_type": {"Description": "MA-52 micro-action, the body part where the action is not known, or a marker"},
    "body_part": {"Description": "Body part, or n/a of a marker"},
    "confidence": {"Description": "Mean calibrated posterior, 0 to 1"},
    "candidates": {"Description": "The body part's likeliest actions and their probabilities"},
    "delay": {"Description": "From the onset to its confirmation", "Units": "s"},
    "review": {"Description": "What a person did to the event, or n/a"},
}


def write(content: Content, stem: Path) -> list[Path]:
    """The folder `STEM-bids`."""
    root = stem.with_name(f"{stem.name}-bids")
    subject = f"sub-{label(content)}"
    folder = root / subject / "beh"
    folder.mkdir(parents=True)
    about = {"Name": content.record.path.name, "BIDSVersion": VERSION, "DatasetType": "raw", "License": "n/a"}
    about["Authors"] = [content.record.metadata.get("interviewer", "n/a")]  # type: ignore[assignment]
    about["HowToAcknowledge"] = "n/a"
    _json(root / "dataset_description.json", about | {"GeneratedBy": [{"Name": "manet-live"}]})
    lines = "".join(f"{key}: {value}\n" for key, value in content.about.items())
    (root / "README").write_text(f"Micro-actions of one seated person, exported by manet-live.\n\n{lines}", "utf-8")
    _tsv(root / "participants.tsv", ("participant_id", "name"), [(subject, content.participant)])
    _json(root / "participants.json", {"name": {"Description": "As noted in the record of the session"}})
    base = f"{subject}_task-{TASK}_events"
    _tsv(folder / f"{base}.tsv", COLUMNS, rows(content))
    levels = dict.fromkeys(BODY_PARTS, "the body part alone is known")
    levels |= {action.name: definition(action) for action in ACTIONS}
    levels |= {section.label: "a marker" for section in content.sections}
    described = DESCRIPTIONS | {"trial_type": DESCRIPTIONS["trial_type"] | {"Levels": levels}}
    _json(folder / f"{base}.json", {"TaskName": TASK} | described | {"ManetLive": dict(content.about)})
    return [root]


def label(content: Content) -> str:
    """The participant as BIDS allows it: letters and digits of ASCII; the session's id where none is left."""
    return re.sub("[^0-9A-Za-z]", "", content.record.metadata.get("participant", "")) or content.record.id


def rows(content: Content) -> list[tuple[object, ...]]:
    """By onset; `n/a` where there is no value."""
    found: list[tuple[int, tuple[object, ...]]] = []
    for event in content.events:
        shown = event.event
        row = (event.name, shown.body_part, shown.confidence, event.candidates, event.delay_s, shown.review)
        found.append((event.onset_ms, (event.onset_ms / 1000, (event.offset_ms - event.onset_ms) / 1000, *row)))
    for section in content.sections:
        duration_s = (section.offset_ms - section.onset_ms) / 1000
        found.append((section.onset_ms, (section.onset_ms / 1000, duration_s, section.label, *[None] * 5)))
    return [row for _, row in sorted(found, key=lambda each: each[0])]


def _tsv(path: Path, columns: tuple[str, ...], rows: list[tuple[object, ...]] | list[tuple[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_NONE, quotechar=None)
        writer.writerow(columns)
        writer.writerows([["n/a" if value in (None, "") else value for value in row] for row in rows])


def _json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
