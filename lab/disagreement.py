"""Where two annotations differ, as tiers of an .eaf: a copy of the human's, with nothing of it changed."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

from engines.common.errors import BadInput
from engines.common.new_files import NewFiles, check_new_file
from lab.agreement import Pair
from lab.export.content import Section, lanes, to_ms

TIER = "disagreement"
XSI = "http://www.w3.org/2001/XMLSchema-instance"


def spans(units: Sequence[Pair], origin_s: float) -> list[Section]:
    """What to look at again: `missed: nodding`, `false: nodding`, `nodding, not bowing head` (the second coder's)."""
    found = []
    for pair in units:
        if pair.first and pair.second and pair.name == pair.other:
            continue
        shown = pair.first or pair.second
        if shown is None:
            continue
        if pair.first and pair.second:
            text = f"{pair.name}, not {pair.other}"
        else:
            text = f"false: {pair.name}" if pair.first else f"missed: {pair.other}"
        onset_ms = to_ms(shown.onset_s - origin_s)
        found.append(Section(text, onset_ms, max(onset_ms + 1, to_ms(shown.offset_s - origin_s))))
    return found


def write_disagreements(source: Path, target: Path, units: Sequence[Pair]) -> None:
    """Copy an .eaf with a tier, or several where they overlap, of what its coder and the other do not agree on.

    Raises:
        BadInput: not an .eaf, one that has such tiers, or something stands at the target.
    """
    if source.suffix.lower() != ".eaf":
        raise BadInput("a human's .eaf to add disagreements to", str(source), "export it as .eaf")
    check_new_file(target, "--disagreements")
    ElementTree.register_namespace("xsi", XSI)
    document = ElementTree.parse(source)
    root = document.getroot()
    if any(tier.get("TIER_ID", "").split(" ")[0] == TIER for tier in root.iter("TIER")):
        raise BadInput(f"an .eaf without the tier {TIER}", str(source), "give the coder's own file")
    media = next(root.iter("MEDIA_DESCRIPTOR"), None)
    origin_s = int(media.get("TIME_ORIGIN") or 0) / 1000 if media is not None else 0.0
    _add_tiers(root, spans(units, origin_s))
    with NewFiles() as files:
        files.write(target, ElementTree.tostring(root, encoding="UTF-8", xml_declaration=True))
        files.keep()


def _add_tiers(root: ElementTree.Element, found: Sequence[Section]) -> None:
    order = root.find("TIME_ORDER")
    if order is None:
        raise BadInput("an .eaf with a TIME_ORDER", "one without", "save it in ELAN")
    children = list(root)
    at = next((place for place, child in enumerate(children) if child.tag == "LINGUISTIC_TYPE"), len(children))
    for number, row in enumerate(lanes(found) or [[]], 1):
        name = TIER if number == 1 else f"{TIER} {number}"
        tier = ElementTree.Element("TIER", {"TIER_ID": name, "LINGUISTIC_TYPE_REF": TIER, "ANNOTATOR": "manet-live"})
        for place, span in enumerate(row):
            key = f"{TIER}{number}_{place}"
            for end, time_ms in (("b", span.onset_ms), ("e", span.offset_ms)):
                slot = {"TIME_SLOT_ID": f"{key}{end}", "TIME_VALUE": str(time_ms)}
                ElementTree.SubElement(order, "TIME_SLOT", slot)
            annotation = ElementTree.SubElement(tier, "ANNOTATION")
            times = {"ANNOTATION_ID": key, "TIME_SLOT_REF1": f"{key}b", "TIME_SLOT_REF2": f"{key}e"}
            aligned = ElementTree.SubElement(annotation, "ALIGNABLE_ANNOTATION", times)
            ElementTree.SubElement(aligned, "ANNOTATION_VALUE").text = span.label
        root.insert(at, tier)
        at += 1
    kind = {"LINGUISTIC_TYPE_ID": TIER, "TIME_ALIGNABLE": "true", "GRAPHIC_REFERENCES": "false"}
    root.insert(at, ElementTree.Element("LINGUISTIC_TYPE", kind))
    _sort_slots(order)


def _sort_slots(order: ElementTree.Element) -> None:
    """By time; one without a time stays behind the one before it."""
    last, keyed = 0, []
    for place, slot in enumerate(list(order)):
        last = int(slot.get("TIME_VALUE") or last)
        keyed.append((last, place, slot))
    order[:] = [slot for _, _, slot in sorted(keyed, key=lambda each: each[:2])]
