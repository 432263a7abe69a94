"""MA-52's official lists: one `name.mp4 index` a line. In the test list every index is 0: its labels are withheld."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engines.common.errors import BadInput
from engines.taxonomy import ACTIONS

FORMAT = "lines of `name.mp4 index`"


@dataclass(frozen=True, slots=True)
class Entry:
    """One labelled clip."""

    name: str  # file name inside the data folder
    index: int  # 0..51; 0 throughout where labels are withheld


def read_list(path: Path, folder: Path) -> tuple[Entry, ...]:
    """Read a list and check that all of its videos are there.

    Args:
        path: the list.
        folder: where the videos lie.

    Raises:
        BadInput: the list cannot be read or is empty; a line is malformed, its index is not in 0..51 or its video
            comes twice; a video is not in `folder`. The line names the first fault.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(f"a list of {FORMAT}", f"{path} ({error.strerror})", "check the path") from None
    except UnicodeDecodeError:
        raise BadInput(f"a list of {FORMAT}", f"{path}, which is no text", "check the path") from None
    lines = enumerate(text.splitlines(), 1)
    entries = tuple(_parse(line, f"{path}:{number}") for number, line in lines if line.strip())
    if not entries:
        raise BadInput(f"a list of {FORMAT}", f"{path}, which is empty", "check the path")
    check_videos([entry.name for entry in entries], path, folder)
    return entries


def withheld(entries: Sequence[Entry]) -> bool:
    """Whether this is a list without labels: several clips, every index 0, as in the official test list."""
    return len(entries) > 1 and all(entry.index == 0 for entry in entries)


def _parse(line: str, where: str) -> Entry:
    words = line.split()
    if len(words) != 2:
        raise BadInput("`name.mp4 index`", f"{line.strip()[:60]!r} at {where}", "correct the line")
    name, index = words
    last = len(ACTIONS) - 1
    if not (index.isascii() and index.isdigit() and int(index) <= last):
        raise BadInput(f"an action's index, 0..{last}", f"{index[:20]!r} at {where}", "correct the line")
    return Entry(name, int(index))


def check_videos(names: Sequence[str], path: Path, folder: Path) -> None:
    """Raises BadInput: a video comes twice in the list at `path`, or is not in `folder`."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise BadInput("each video once", f"{name} twice in {path}", "remove one of the lines")
        seen.add(name)
    if not folder.is_dir():
        raise BadInput("the folder of the videos", f"{folder}, which is none", "check --data")
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise BadInput(
            f"all {len(names)} videos of {path} in {folder}",
            f"{len(missing)} missing, the first {missing[0]}",
            "check --data and the list",
        )
