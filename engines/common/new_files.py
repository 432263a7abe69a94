"""What stands at a path is the user's: files and folders are made where nothing stood, taken back after a failure."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

from engines.common.errors import BadInput

_KINDS: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISREG, "a file"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def what_stands_at(path: Path) -> str | None:
    """For people: "a file", "a folder", "a link that leads nowhere" ...; None where nothing stands.

    Raises:
        OSError: the path cannot be looked at: its name is too long, or a folder above it is closed to us.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return "a link that leads nowhere" if path.is_symlink() else None
    return next((kind for matches, kind in _KINDS if matches(mode)), "something else")


def check_empty_folder(path: Path, option: str) -> None:
    """Before long work whose files go there: none of the user's must be in their way.

    Raises:
        BadInput: something stands there that is no folder, or a folder with something in it; or it cannot be read.
    """
    try:
        standing = what_stands_at(path)
        if standing == "a folder" and any(path.iterdir()):
            standing = "a folder with files in it"
    except OSError as error:
        raise BadInput(f"a new or empty folder for {option}", f"{path} ({error.strerror})", "name another") from None
    if standing not in (None, "a folder"):
        raise BadInput(
            f"a new or empty folder for {option}", f"{path}, {standing}", "name another: nothing is overwritten"
        )


def check_new_file(path: Path, option: str) -> None:
    """Before long work whose result goes there. An empty file, which holds nothing, and a device will do.

    Raises:
        BadInput: something of the user's stands there, or no file can be made there.
    """
    try:
        standing = what_stands_at(path)
        if standing is None:
            with NewFiles() as trial:  # and away again
                trial.open(path).close()
        elif standing in ("a folder", "a link that leads nowhere") or (standing == "a file" and path.stat().st_size):
            raise BadInput(f"a new {option} file", f"{path}, {standing}", "name another, or move it away")
        elif not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise BadInput(
            f"a {option} file that can be written", f"{path} ({error.strerror})", "check its folder"
        ) from None


def check_names_free(folder: Path, names: Iterable[str], option: str, fix: str = "name another") -> None:
    """Before long work that writes these files into a folder, which may hold others.

    Raises:
        BadInput: one of them is there.
    """
    held = next((name for name in names if os.path.lexists(folder / name)), None)
    if held:
        raise BadInput(f"a new folder for {option}", f"{folder}, which holds {held}", fix)


class NewFiles:
    """Files and folders that a command makes. Left as a context manager, they go again unless they were kept.

    Only what it made itself goes: a file that was replaced meanwhile stays, and so does a folder that others use.
    """

    def __init__(self) -> None:
        # In order; a file with a descriptor, since only an open file's inode is surely no other's later.
        self._made: list[tuple[Path, int | None]] = []

    def __enter__(self) -> NewFiles:
        return self

    def __exit__(self, *_: object) -> None:
        self.discard()

    def folder(self, path: Path, mode: int = 0o777) -> None:
        """Make a folder, and those above it that are missing; one that is there stays as it is.

        Raises:
            OSError: it cannot be made, or something else stands there.
        """
        missing = [each for each in (path, *path.parents) if not os.path.lexists(each)]
        for each in reversed(missing):
            each.mkdir(mode)
            self._made.append((each, None))
        if not path.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))

    def open(self, path: Path, mode: int = 0o666) -> BinaryIO:
        """A new file, open for unbuffered writing.

        Raises:
            FileExistsError: something stands there.
            OSError: it cannot be made.
        """
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
        self._made.append((path, os.dup(handle)))
        return os.fdopen(handle, "wb", buffering=0)

    def write(self, path: Path, data: bytes, mode: int = 0o666) -> None:
        """A whole new file. Raises OSError as `open` does, and on a full disk."""
        with self.open(path, mode) as file:
            rest = memoryview(data)
            while rest:
                rest = rest[file.write(rest) :]

    def keep(self, path: Path | None = None) -> None:
        """They stay from here on: the one at `path`, or all."""
        for made, handle in self._made:
            if handle is not None and path in (None, made):
                os.close(handle)
        self._made = [each for each in self._made if path not in (None, each[0])]

    def discard(self) -> None:
        """Take back what was made and not kept, the newest first."""
        while self._made:
            path, handle = self._made.pop()
            with contextlib.suppress(OSError):
                if handle is None:
                    path.rmdir()
                elif _close_and_compare(handle, path):
                    path.unlink()


def _close_and_compare(handle: int, path: Path) -> bool:
    """Whether the file that was open is still the one at `path`."""
    try:
        return os.path.samestat(os.fstat(handle), path.lstat())
    finally:
        os.close(handle)
