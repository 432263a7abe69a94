"""A laboratory's words as MA-52's: what each may mean, and `python -m lab words`, which writes a first map."""

from __future__ import annotations

import argparse
import difflib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from engines.common.errors import BadInput
from engines.common.new_files import NewFiles, check_new_file
from engines.common.printable import printable
from engines.taxonomy import ACTIONS, BODY_PARTS
from lab.annotations import Annotation, Annotations, read_annotations

PART_OF = {action.name: action.body_part for action in ACTIONS} | {part: part for part in BODY_PARTS}
BY_WORD = {name.lower(): name for name in PART_OF} | {action.code.lower(): action.name for action in ACTIONS}
STEM, SPELT_ALIKE = 4, 0.6  # letters that begin a word alike; likeness of the whole
EXPLANATION = """\
# Which of MA-52's actions, or which body part, each word means. Several, where any of them is right:
# "face touch" = ["scratching or touching face", "touching nose"]. None, where the word is not to be compared: [].
"""


class _Map(msgspec.Struct, forbid_unknown_fields=True):
    words: dict[str, str | list[str]]


@dataclass(frozen=True, slots=True)
class Event:
    """What a coder saw, in MA-52's names: any of `names` is right; a body part's name where no action is known."""

    names: frozenset[str]
    onset_s: float
    offset_s: float

    @property
    def parts(self) -> frozenset[str]:
        return frozenset(PART_OF[name] for name in self.names)

    @property
    def span(self) -> tuple[float, float]:
        return self.onset_s, self.offset_s


def read_map(path: Path) -> dict[str, frozenset[str]]:
    """Word → what it may mean.

    Raises:
        BadInput: no map, or a meaning that is none of MA-52's.
    """
    try:
        found = msgspec.toml.decode(path.read_bytes(), type=_Map)
    except (OSError, ValueError, ImportError) as error:
        raise BadInput("a map of words in TOML", f"{path} ({error})", "make one with `lab words FILE`") from None
    meanings = {word: [value] if isinstance(value, str) else value for word, value in found.words.items()}
    for word, names in meanings.items():
        unknown = next((name for name in names if name.lower() not in BY_WORD), None)
        if unknown is not None:
            close = difflib.get_close_matches(unknown.lower(), BY_WORD, 1)
            fix = f"perhaps {BY_WORD[close[0]]!r}" if close else "see engines/ma52.csv for the names"
            raise BadInput("actions or body parts of MA-52 in the map", f"{unknown!r} for {word!r}", fix)
    return {word: frozenset(BY_WORD[name.lower()] for name in names) for word, names in meanings.items()}


def translate(annotations: Annotations, words: Mapping[str, frozenset[str]]) -> list[Event]:
    """The events that are to be compared.

    Raises:
        BadInput: a word that is neither MA-52's nor in the map.
    """
    unknown = [word for word in annotations.words if word not in words and word.lower() not in BY_WORD]
    if unknown:
        shown = ", ".join(map(repr, unknown[:5])) + (" ..." if len(unknown) > 5 else "")
        fix = "write a map with `lab words FILE`, and give it with --map"
        raise BadInput("words of MA-52 or of the map", f"{annotations.path} with {shown}", fix)
    return [Event(names, one.onset_s, one.offset_s) for one in annotations.found if (names := _names(one, words))]


def _names(one: Annotation, words: Mapping[str, frozenset[str]]) -> frozenset[str]:
    return words[one.word] if one.word in words else frozenset({BY_WORD[one.word.lower()]})


def first_map(annotations: Iterable[Annotations]) -> str:
    """TOML to fill in: MA-52's own words are there, others are empty with the nearest names as a comment."""
    counts = Counter(one.word for file in annotations for one in file.found)
    lines = [EXPLANATION, "[words]"]
    for word in sorted(counts):
        meaning = BY_WORD.get(word.lower())
        near = [] if meaning else nearest(word)
        comment = f"  # {counts[word]} annotations" + (f"; perhaps {', '.join(near)}" if near else "")
        lines.append(f"{json.dumps(word, ensure_ascii=False)} = {json.dumps(meaning) if meaning else '[]'}{comment}")
    return "\n".join(lines) + "\n"


def nearest(word: str) -> list[str]:
    """Up to three names of MA-52 that begin words alike, or are spelt alike; the likeliest first."""
    stems = {one[:STEM] for one in word.lower().split()}
    likeness = {}
    for name in PART_OF:
        alike = len(stems & {one[:STEM] for one in name.split()})
        ratio = difflib.SequenceMatcher(None, word.lower(), name).ratio()
        if alike or ratio >= SPELT_ALIKE:
            likeness[name] = alike + ratio
    return sorted(likeness, key=lambda name: -likeness[name])[:3]


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("files", type=Path, nargs="+", metavar="FILE", help="annotations of a human")
    command.add_argument("--out", type=Path, metavar="WORDS.toml", help="(standard output)")


def run(options: argparse.Namespace) -> None:
    """Print or write a first map."""
    text = first_map([read_annotations(path) for path in options.files])
    if options.out is None:
        print("\n".join(printable(line) for line in text.splitlines()))
        return
    check_new_file(options.out, "--out")
    with NewFiles() as files:
        files.write(options.out, text.encode())
        files.keep()
