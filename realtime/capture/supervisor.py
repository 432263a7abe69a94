"""Keeps one capture process alive: starts it, notices when it dies or hangs, restarts it a bounded number of times."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections import deque
from pathlib import Path

import msgspec

from realtime.capture.process import CaptureSpec
from realtime.capture.sources import resume_after
from realtime.clock import NS_PER_S, Clock, to_ns
from realtime.config import SupervisionSettings
from realtime.messages import CaptureState

PAUSE_NS = NS_PER_S  # without a check: this process was stopped meanwhile
MOST_WITHOUT_FRAMES = 2  # starts in a row that bring no frame: what they meet, the next one meets, too
ENDED_STATES = (CaptureState.ENDED, CaptureState.FAILED)


class CaptureFailed(Exception):
    """The capture process cannot be kept alive; the message says what happened."""


class RestartsExhausted(Exception):
    """Another restart would not help; the message says why."""


class Restarts:
    """The restarts of one capture process: at most `max_restarts` within `restart_window_s`."""

    def __init__(self, settings: SupervisionSettings) -> None:
        self._settings = settings
        self._window_ns = to_ns(settings.restart_window_s)
        self._at_ns: deque[int] = deque()  # of late
        self._without_frames = 0  # starts in a row

    @property
    def count(self) -> int:
        """Within the window, as of the last failure."""
        return len(self._at_ns)

    def wait_ns(self, now_ns: int, brought_frames: bool) -> int:
        """Take note of a failure; returns after how long the process is to be started again.

        Args:
            brought_frames: the process that failed did so after at least one new frame.

        Raises:
            RestartsExhausted: it is not to be started again.
        """
        settings = self._settings
        while self._at_ns and now_ns - self._at_ns[0] > self._window_ns:
            self._at_ns.popleft()
        self._without_frames = 0 if brought_frames else self._without_frames + 1
        if len(self._at_ns) >= settings.max_restarts:
            raise RestartsExhausted(f"restarted {len(self._at_ns)} times in the last {settings.restart_window_s:g} s")
        if self._without_frames >= MOST_WITHOUT_FRAMES:
            raise RestartsExhausted(f"no frame in {self._without_frames} starts")
        wait_s = min(settings.backoff_min_s * 2.0 ** len(self._at_ns), settings.backoff_max_s)
        self._at_ns.append(now_ns)
        return round(wait_s * NS_PER_S)


class CaptureProcess:
    """One camera's capture process and its replacements.

    The process leads a session of its own, so that a Ctrl-C in the terminal reaches us alone; closing its standard
    input ends it. What it or a library under it prints goes to `log`, never to the terminal.
    """

    def __init__(self, spec: CaptureSpec, log: Path, clock: Clock, settings: SupervisionSettings) -> None:
        self._spec, self._log, self._clock = spec, log, clock
        self._hang_ns, self._max_restarts = to_ns(settings.hang_s), settings.max_restarts
        self._start_ns = max(to_ns(settings.start_s), self._hang_ns)  # libraries load slowly on a busy machine
        self._restarts = Restarts(settings)
        self._process: subprocess.Popen[bytes] | None = None
        self._started_ns = 0
        self._checked_ns = self._resumed_ns = 0  # resumed: when this process ran again after a pause
        self._start_at_ns: int | None = None  # when it is started again; None: no start is due
        self._media_ns: int | None = None  # of the last frame before the start

    @property
    def restarts(self) -> int:
        return self._spec.order.generation

    @property
    def refused(self) -> dict[str, int]:
        """Connections that did not get in: a process has no socket of its own."""
        return {}

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "realtime.capture.process"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
                # the process must find the packages wherever this one found them
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)},
            )
        self._started_ns = self._clock.now_ns()
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # it died at once, as `check` will find
                self._process.stdin.write(self._spec.to_json())
                self._process.stdin.flush()

    def check(self, state: CaptureState, waiting_since_ns: int | None, last_media_ns: int | None) -> str | None:
        """Look after the process; call it several times a second.

        Args:
            state: what the process last reported.
            waiting_since_ns: since when the drain thread has been waiting for it; None while it is not.
            last_media_ns: media time of the last frame that arrived, from which a recording goes on.

        Returns:
            One line when the process failed and is started again, else None.

        Raises:
            CaptureFailed: it died or hung, and another start would not help.
        """
        if self._start_at_ns is not None and self._clock.now_ns() >= self._start_at_ns:
            self._start_at_ns = None
            self.start()
        if self._process is None or state in ENDED_STATES:
            return None
        code = self._process.poll()
        now_ns = self._clock.now_ns()
        if now_ns - self._checked_ns > PAUSE_NS:  # it was we who were stopped, not the capture process
            self._resumed_ns = now_ns
        self._checked_ns = now_ns
        if code is not None and waiting_since_ns is not None and now_ns - waiting_since_ns > NS_PER_S // 5:
            fault = f"capture process ended with {_describe(code)}"  # and all it had sent has been read
        elif code is None and waiting_since_ns is not None:
            starting = waiting_since_ns <= self._started_ns or state is CaptureState.OPENING  # it loads its models
            limit_ns = self._start_ns if starting else self._hang_ns
            if now_ns - max(waiting_since_ns, self._started_ns, self._resumed_ns) <= limit_ns:
                return None
            fault = f"capture process silent for {limit_ns / NS_PER_S:.0f} s"
        else:
            return None
        self.stop(timeout_s=0.0)
        try:
            wait_ns = self._restarts.wait_ns(now_ns, last_media_ns != self._media_ns)
        except RestartsExhausted as reason:
            raise CaptureFailed(f"{fault}, {reason}{self._last_output()}") from None
        self._media_ns, self._start_at_ns = last_media_ns, now_ns + wait_ns
        self._spec = msgspec.structs.replace(
            self._spec,
            order=msgspec.structs.replace(self._spec.order, generation=self.restarts + 1),
            source=resume_after(self._spec.source, last_media_ns),
        )
        return f"{fault}; restarted ({self._restarts.count} of {self._max_restarts}) in {wait_ns / NS_PER_S:g} s"

    def pause(self) -> None:
        """Hold the capture of a recording until `resume`: nobody takes its frames meanwhile."""
        if self._process is not None and not self._spec.source.live:
            self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def ask_to_stop(self) -> None:
        """Close its standard input, which stops it; do not wait. It is not started again."""
        self._start_at_ns = None
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError):  # it is gone already
                self._process.stdin.close()

    def stop(self, timeout_s: float) -> bool:
        """End the process: politely for `timeout_s`, then by force. No process outlives this call; True."""
        if self._process is None:
            return True
        self.ask_to_stop()
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
        return True

    def _last_output(self) -> str:
        try:
            lines = self._log.read_text(errors="replace").strip().splitlines()
        except OSError:
            return ""
        return f"; it last printed: {lines[-1]}" if lines else ""


def _describe(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
