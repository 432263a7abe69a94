"""Sockets in the file system: bound where nothing stood, taken away only by who bound them, on paths that fit."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from engines.common.errors import BadInput
from engines.common.new_files import what_stands_at

LONGEST_PATH = 107 if sys.platform == "linux" else 103  # bytes: sun_path, less its closing zero
BACKLOG = 100  # connections that wait to be accepted; as ZeroMQ has it
_NAME_BYTES = 32  # of a private folder and a socket in it: /manet-live-12345678/frames-0
_SHORT_PLACES = ("/tmp", "/var/tmp")


class IpcListener:
    """A listening Unix socket. ZeroMQ, left to bind a path itself, would first delete whatever stands there.

    Only a socket of the same owner at which nobody listens any more is replaced.

    Raises:
        BadInput: something of the user's stands there, a process listens, or no socket can be made there.
    """

    def __init__(self, path: str, option: str) -> None:
        self._path = Path(path)
        length = len(os.fsencode(path))
        if length > LONGEST_PATH:
            raise BadInput(
                f"a path of at most {LONGEST_PATH} bytes for {option}",
                f"{path} ({length} bytes)",
                "name a shorter one, for example in /tmp",
            )
        listening = socket.socket(socket.AF_UNIX)
        try:
            with _alone_in(self._path.parent):
                self._remove_dead(option)
                listening.bind(path)
                listening.listen(BACKLOG)
                made = self._path.lstat()
        except OSError as error:
            listening.close()
            raise BadInput(
                f"a path where a socket can be made for {option}", f"{path} ({error.strerror})", "name another"
            ) from None
        except BadInput:
            listening.close()
            raise
        listening.setblocking(False)  # ZeroMQ accepts in a thread that must not wait for one connection
        self._made = made.st_dev, made.st_ino
        self._socket = listening

    def detach(self) -> int:
        """The file descriptor, whose owner the caller becomes."""
        return self._socket.detach()

    def close(self) -> None:
        """Take the path away, if it is still the one that was bound; harmless when it is gone."""
        self._socket.close()
        with contextlib.suppress(OSError):
            found = self._path.lstat()
            if (found.st_dev, found.st_ino) == self._made:
                self._path.unlink()

    def _remove_dead(self, option: str) -> None:
        try:
            found = self._path.lstat()
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(found.st_mode):
            standing = "a link" if stat.S_ISLNK(found.st_mode) else what_stands_at(self._path)
            raise BadInput(f"a free path for {option}", f"{self._path}, {standing}", "name another, or move it away")
        if _in_use(self._path):
            raise BadInput(
                f"a free path for {option}", f"{self._path}, a socket in use", "name another, or stop what holds it"
            )
        if found.st_uid != os.geteuid():
            raise BadInput(f"a free path for {option}", f"{self._path}, a socket of another user", "name another")
        self._path.unlink()


def _in_use(path: Path) -> bool:
    """Whether a process listens: only a refused connection says that nobody does."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except OSError as error:
            return error.errno != errno.ECONNREFUSED
    return True


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """One session at a time: two that start at once must not both find the same dead socket."""
    import fcntl  # not on Windows, which has no Unix sockets for us either

    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def private_folder() -> Path:
    """A new folder that is its owner's alone (mode 0700), with a path short enough for a session's sockets.

    It is where temporary files go; where that path is too long for sockets, or is not UTF-8, it is in a shorter place.

    Raises:
        BadInput: there is no such place.
    """
    fault = ""
    for place in (tempfile.gettempdir(), os.environ.get("XDG_RUNTIME_DIR") or "", *_SHORT_PLACES):
        if not place or (os.name == "posix" and not _fits(place)):
            continue
        try:
            return Path(tempfile.mkdtemp(prefix="manet-live-", dir=place))
        except OSError as error:
            fault = fault or f"{place} ({error.strerror})"
    raise BadInput(
        "a folder for temporary files",
        fault or f"{tempfile.gettempdir()}, too long a path for sockets",
        "make room, or set TMPDIR to a short path that can be written",
    )


def _fits(place: str) -> bool:
    try:
        return len(place.encode()) + _NAME_BYTES <= LONGEST_PATH and Path(place).is_absolute()
    except UnicodeEncodeError:
        return False
