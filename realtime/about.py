"""What is known of a session beforehand: who is interviewed, by whom, where, after which protocol; keys for markers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from engines.common.errors import BadInput
from engines.common.printable import is_text

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Text = Annotated[str, Meta(max_length=200)]
MOST_LETTERS = 100
Label = Annotated[str, Meta(min_length=1, max_length=MOST_LETTERS)]  # of a marker
Key = Annotated[str, Meta(min_length=1, max_length=1)]  # of the keyboard
DEFAULT_MARKERS = {str(number): f"question {number}" for number in range(1, 10)} | {"s": "silence", "m": "marker"}


class About(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A form of a session, every field of which may stay empty."""

    participant: Text = ""
    interviewer: Text = ""
    room: Text = ""
    protocol: Text = ""
    markers: dict[Key, Label] = msgspec.field(default_factory=DEFAULT_MARKERS.copy)

    @property
    def filled_in(self) -> dict[str, str]:
        """The fields that are not empty, for the record."""
        fields = {name: getattr(self, name) for name in self.__struct_fields__ if name != "markers"}
        return {name: value for name, value in fields.items() if value}


def load_about(form: Path | None, **given: str | None) -> About:
    """A form in TOML, and what the command line says, which counts more.

    Raises:
        BadInput: no such file, not TOML, an unknown field, a text that is too long or no text.
    """
    where = str(form) if form else "the command line"
    try:
        fields = tomllib.loads(form.read_text(encoding="utf-8-sig")) if form else {}
        about = msgspec.convert(fields | {name: value for name, value in given.items() if value is not None}, About)
    except OSError as error:
        raise BadInput("a form in TOML", f"{form} ({error.strerror})", "check the path of --form") from None
    except (ValueError, RecursionError) as error:  # of TOML, of its encoding, of a field
        raise BadInput("a form of participant, interviewer, room, protocol", f"{where}: {error}", "fix it") from None
    if not all(map(is_text, (*about.filled_in.values(), *about.markers.values()))):
        raise BadInput("a form in UTF-8", where, "set the terminal to UTF-8")
    return about
