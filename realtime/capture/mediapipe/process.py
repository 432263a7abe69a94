"""What MediaPipe does to the process around it, and how that is kept in bounds: usage reports and start-up chatter.

`block_reports` belongs before the first thread of a process: the environment must not change under a thread that reads
it, as FFmpeg does when it opens a stream.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import threading
from collections.abc import Iterator, Mapping

# MediaPipe reports usage to its maker over HTTPS and has no switch for it. Nothing about an interview leaves this
# machine, so it is handed a proxy that does not exist: the discard port of the loopback.
NOWHERE = "http://127.0.0.1:9"

_before: dict[str, str] = {}  # the environment as it was, once the reports are blocked


def block_reports() -> None:
    """Hand MediaPipe a proxy that does not exist; FFmpeg goes on finding the user's own. Harmless when repeated.

    FFmpeg reads `http_proxy` and `no_proxy`, curl inside MediaPipe `https_proxy` and `no_proxy`. Hosts of `no_proxy`
    are therefore written so that FFmpeg alone understands them.
    """
    if os.environ.get("https_proxy") == os.environ.get("HTTPS_PROXY") == NOWHERE:
        return
    _before.clear()
    _before.update(os.environ)
    exempt = os.environ.get("no_proxy")
    os.environ.pop("NO_PROXY", None)  # which curl would turn to, and FFmpeg does not know
    if exempt is not None:
        os.environ["no_proxy"] = for_ffmpeg_alone(exempt)
    os.environ["https_proxy"] = os.environ["HTTPS_PROXY"] = NOWHERE


def environment_before() -> Mapping[str, str]:
    """The environment with the user's own proxies, for what has to reach the network."""
    return _before or os.environ


def for_ffmpeg_alone(no_proxy: str) -> str:
    """A `no_proxy` that means the same to FFmpeg and exempts nothing for curl.

    FFmpeg passes over `*` and `.` before a host's name, curl takes `*` as a part of the name. A lone `*` means every
    host to both, but in a list to FFmpeg alone.
    """
    hosts = [host for host in re.split("[ ,]+", no_proxy) if host]
    names = [host if host == "*" else "*." + host.removeprefix("*").removeprefix(".") for host in hosts]
    return ",".join(names if names != ["*"] else ["*", "*"])


class _Quiet:
    """Standard error of the process, sent nowhere while anybody wants it so."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wanted = 0  # by so many threads
        self._saved: int | None = None  # a descriptor of what standard error was

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        with self._lock:
            self._wanted += 1
            if self._wanted == 1:
                self._divert()
        try:
            yield
        finally:
            with self._lock:
                self._wanted -= 1
                if not self._wanted:
                    self._restore()

    def _divert(self) -> None:
        try:
            stderr = _stderr()
            self._saved = os.dup(stderr)
        except (OSError, ValueError):  # closed: nothing to keep quiet
            return
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), stderr)

    def _restore(self) -> None:
        if self._saved is not None:
            os.dup2(self._saved, _stderr())
            os.close(self._saved)
            self._saved = None


def _stderr() -> int:
    if sys.__stderr__ is None:  # its descriptor may be another file by now
        raise ValueError("expected standard error to be open")
    return sys.__stderr__.fileno()


quiet = _Quiet()  # a context: keeps start-up chatter, which no log level stops, off our standard error
