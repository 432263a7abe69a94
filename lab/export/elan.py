"""ELAN's .eaf: a tier for each body part, with its actions as controlled vocabulary, and notes below it.

pympi writes EAF 2.8, which some releases damage on saving. The document is marked 3.0, whose rules it obeys: time
slots in order, vocabulary entries with ids of their own, the language declared, the date with a whole time zone. Inside
a tier nothing overlaps: what does goes to a tier of its own, `head 2`.
"""

from __future__ import annotations

import mimetypes
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from engines.taxonomy import BODY_PARTS
from lab.export.content import Content, ExportedEvent, Section, actions_of, definition, lanes
from lab.extra import need

LANGUAGE = "und"
MARKERS, NOTES = "markers", "notes"
SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"


def write(content: Content, stem: Path) -> list[Path]:
    """`STEM.eaf`."""
    elan = need("pympi.Elan")
    eaf = elan.Eaf(author="manet-live")
    eaf.remove_tier("default")
    eaf.adocument |= {
        "VERSION": "3.0",
        "FORMAT": "3.0",
        "DATE": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "xsi:noNamespaceSchemaLocation": SCHEMA,
    }
    eaf.header = {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"}
    eaf.properties = [(f"manet-live:{key}", value) for key, value in content.about.items()]
    eaf.properties.append(("lastUsedAnnotationId", 0))
    if content.media is not None:
        link_media(eaf, content.media)
    _add_types(eaf)
    for part in BODY_PARTS:
        _add_part(eaf, content, part)
    for number, row in enumerate(lanes(content.sections) or [[]], 1):
        tier = MARKERS if number == 1 else f"{MARKERS} {number}"
        eaf.add_tier(tier, ling=MARKERS)
        for section in row:
            eaf.add_annotation(tier, section.onset_ms, section.offset_ms, section.label)
    eaf.properties[-1] = ("lastUsedAnnotationId", eaf.maxaid)
    order_time_slots(eaf)
    path = stem.with_name(f"{stem.name}.eaf")
    elan.to_eaf(str(path), eaf)
    return [path]


def link_media(eaf: Any, media: Path) -> None:
    """By its place, and by its name beside the .eaf, which ELAN tries first."""
    kind = mimetypes.guess_type(media.name)[0] or "video/*"
    url = media.resolve().as_uri() if media.exists() else f"./{media.name}"
    eaf.add_linked_file(url, relpath=f"./{media.name}", mimetype=kind)


def _add_types(eaf: Any) -> None:
    """A type for each part, with its vocabulary, one for markers and one for notes."""
    add = eaf.add_linguistic_type
    eaf.linguistic_types.clear()
    eaf.add_language(LANGUAGE, "http://cdb.iso.org/lg/CDB-00130975-001", "undetermined (und)")
    for place, part in enumerate(BODY_PARTS):
        eaf.add_controlled_vocabulary(part)
        eaf.add_cv_description(part, LANGUAGE, f"MA-52 actions of the body part {part}")
        entries = [(f"cveid_part{place}", part, "the body part alone is known")]
        entries += [(f"cveid_{one.code}", one.name, definition(one)) for one in actions_of(part)]
        for key, value, description in entries:
            eaf.add_cv_entry(part, key, [(value, LANGUAGE, description)])
        kind = {"LINGUISTIC_TYPE_ID": part, "TIME_ALIGNABLE": "true", "GRAPHIC_REFERENCES": "false"}
        add(part, param_dict=kind | {"CONTROLLED_VOCABULARY_REF": part})
    add(MARKERS)
    add(NOTES, constraints="Symbolic_Association", timealignable=False)


def _add_part(eaf: Any, content: Content, part: str) -> None:
    rows = lanes(event for event in content.events if event.event.body_part == part)
    for number, row in enumerate(rows or [[]], 1):
        tier = part if number == 1 else f"{part} {number}"
        annotator = f"manet-live, {content.record.model}"
        eaf.add_tier(tier, ling=part, part=content.participant, ann=annotator)
        eaf.add_tier(f"{tier} {NOTES}", ling=NOTES, parent=tier, part=content.participant)
        for event in row:
            add_noted(eaf, tier, event, note(event))


def add_noted(eaf: Any, tier: str, span: ExportedEvent | Section, text: str) -> None:
    """An annotation and the note that hangs on it: by its id, since times may touch."""
    value = span.name if isinstance(span, ExportedEvent) else span.label
    eaf.add_annotation(tier, span.onset_ms, span.offset_ms, value)
    reference = next(reversed(eaf.tiers[tier][0]))
    notes = f"{tier} {NOTES}"
    key = eaf.generate_annotation_id()
    eaf.annotations[key] = notes
    eaf.tiers[notes][1][key] = (reference, text, None, None)


def note(event: ExportedEvent) -> str:
    """`confidence 0.81; delay 0.75 s; nodding 0.70; bowing head 0.20; renamed`."""
    shown = event.event
    found = [] if shown.confidence is None else [f"confidence {shown.confidence:.2f}"]
    found += [] if event.delay_s is None else [f"delay {event.delay_s:.2f} s"]
    found += [event.candidates, "posture" if shown.posture else "", shown.review]
    return "; ".join(filter(None, found))


def order_time_slots(eaf: Any) -> None:
    """Number them by time: readers take their order in the file for theirs."""
    slots = eaf.timeslots
    # an open slot (without a time) stays behind the one before it
    last, keyed = 0, []
    for place, (name, time_ms) in enumerate(slots.items()):
        last = last if time_ms is None else time_ms
        keyed.append((last, place, name))
    names = {old: f"ts{place}" for place, (_, _, old) in enumerate(sorted(keyed), 1)}
    eaf.timeslots = {names[old]: slots[old] for _, _, old in sorted(keyed)}
    for aligned, *_ in eaf.tiers.values():
        for key, (begin, end, *rest) in list(aligned.items()):
            aligned[key] = (names[begin], names[end], *rest)
