"""evaluate-real --clips: recordings whose right answers a person wrote down, through the live path at its defaults.

The list is JSON: name of a recording → `parts_right` and `actions_right` (any of them is right; none: no event is),
`parts_impossible`. Recordings lie beside the list, or in the folder `clips` beside it. Only events that ended confirmed
count. Beside the model stand constant answers: the body parts that are right most often, said of every recording.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from engines.common.errors import BadInput
from events.settings import EmotionSettings
from realtime.config import Config
from realtime.output.lines import ActionLine
from realtime.output.observer import Observer
from realtime.session import Session

CONSTANT_PARTS = 2


class Answer(msgspec.Struct, frozen=True):
    """What is right in one recording; other fields are notes."""

    parts_right: tuple[str, ...]
    actions_right: tuple[int, ...]
    parts_impossible: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Clip:
    """A recording, what is right in it and the events found: (body part, action or none)."""

    name: str
    answer: Answer
    events: tuple[tuple[str, int | None], ...]


def evaluate_clips(model: str, listing: Path) -> list[Clip]:
    """Run every recording of a list.

    Raises:
        BadInput: the list cannot be read, or a recording is not there.
    """
    answers = read_answers(listing)
    return [Clip(path.name, answer, watch(model, path)) for path, answer in answers.items()]


def read_answers(listing: Path) -> dict[Path, Answer]:
    """Recordings with what is right in them."""
    try:
        answers = msgspec.json.decode(listing.read_bytes(), type=dict[str, Answer])
    except OSError as error:
        raise BadInput("a list of recordings", f"{listing} ({error.strerror})", "check --clips") from None
    except msgspec.MsgspecError as error:
        raise BadInput("recordings with parts_right and actions_right", f"{listing}: {error}", "check it") from None
    found = {}
    for name, answer in answers.items():
        places = [listing.parent / name, listing.parent / "clips" / name]
        path = next((place for place in places if place.is_file()), None)
        if path is None:
            raise BadInput(f"the recordings of {listing}", f"no {places[0]}", "put them beside it")
        found[path] = answer
    return found


class _Ended(Observer):
    """Keeps the events that ended."""

    name = "evaluation"

    def __init__(self) -> None:
        self.events: list[tuple[str, int | None]] = []

    def on_action(self, event: ActionLine) -> None:
        if event.state == "ended":
            self.events.append((event.body_part, event.index))


def watch(model: str, path: Path) -> tuple[tuple[str, int | None], ...]:
    """The events of one recording."""
    ended = _Ended()
    config = Config(emotion=EmotionSettings(on=False))
    Session(str(path), model, [ended], speed=None, config=config).run()
    return tuple(ended.events)


def summary(clips: Sequence[Clip]) -> dict[str, Any]:
    """Shares of recordings with a right part and a right action, of events of a right part; counts where none is.

    `constant`: the same where every recording is said to show the parts that are right most often.
    """
    often = Counter(part for clip in clips for part in clip.answer.parts_right)
    constant = [part for part, _ in often.most_common(CONSTANT_PARTS)]
    said = [Clip(clip.name, clip.answer, tuple((part, None) for part in constant)) for clip in clips]
    return _counts(clips) | {"constant": {"parts": constant} | _counts(said)}


def _counts(clips: Sequence[Clip]) -> dict[str, Any]:
    busy = [clip for clip in clips if clip.answer.parts_right]
    named = [clip for clip in clips if clip.answer.actions_right]
    quiet = [clip for clip in clips if not clip.answer.parts_right]
    events = [(clip, part) for clip in busy for part, _ in clip.events]
    return {
        "part": _share(busy, lambda clip: any(part in clip.answer.parts_right for part, _ in clip.events)),
        "action": _share(named, lambda clip: any(index in clip.answer.actions_right for _, index in clip.events)),
        "events_of_a_right_part": _share(events, lambda one: one[1] in one[0].answer.parts_right),
        "events": len(events),
        "impossible": sum(part in clip.answer.parts_impossible for clip in clips for part, _ in clip.events),
        "events_in_quiet_clips": sum(len(clip.events) for clip in quiet),
        "clips": len(busy),
        "quiet_clips": len(quiet),
    }


def _share(values: Sequence[Any], right: Callable[[Any], bool]) -> float | None:
    return sum(map(right, values)) / len(values) if values else None


def clips_json(clips: Sequence[Clip]) -> dict[str, Any]:
    """The summary and the events of each recording."""
    each = {clip.name: [{"part": part, "action": index} for part, index in clip.events] for clip in clips}
    return summary(clips) | {"each": each}


def print_clips(clips: Sequence[Clip], title: str, console: Console) -> None:
    """The model beside the constant answers."""
    found = summary(clips)
    table = Table(title=f"{title}: recordings labelled by eye")
    for name in ("", "right part", "right action", "events of a right part", "impossible", "events in quiet clips"):
        table.add_column(name, justify="right" if name else "left")
    constant: Mapping[str, Any] = found["constant"]
    for label, one in ((title, found), (f"always {' and '.join(constant['parts'])}", constant)):
        shares = [one["part"], one["action"], one["events_of_a_right_part"]]
        cells = ["–" if share is None else f"{share:.2f}" for share in shares]
        cells[2] += f" of {one['events']}"
        table.add_row(label, *cells, str(one["impossible"]), f"{one['events_in_quiet_clips']} in {one['quiet_clips']}")
    console.print(table)
