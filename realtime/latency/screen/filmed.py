"""From codes read in pictures back to the times they were shown: how long light took to become a frame, an event."""

from __future__ import annotations

import bisect
import contextlib
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from engines.common.errors import BadInput, Failed
from realtime.clock import NS_PER_MS, NS_PER_S
from realtime.latency.log import LatencyLog, figures
from realtime.latency.report import ScreenReport
from realtime.latency.screen.codes import CODES, code_at
from realtime.latency.stages import WINDOW_COLUMNS
from realtime.messages import Sighting

START_S = 20.0  # within which something must be shown
LONGEST_NS = 5 * NS_PER_S  # older than this on the screen: misread


class Shown:
    """Which step was on when. One thread adds."""

    def __init__(self) -> None:
        self._shown_ns: list[int] = []  # by step
        self._lock = threading.Lock()

    def add(self, step: int, shown_ns: int) -> None:
        with self._lock:
            if step == len(self._shown_ns):
                self._shown_ns.append(shown_ns)

    def step_ns(self) -> int:
        """Median time that a step was on; 0 before the second."""
        with self._lock:
            return int(np.median(np.diff(self._shown_ns))) if len(self._shown_ns) > 1 else 0

    def light_ns(self, sighting: Sighting) -> int | None:
        """When the light of a picture left the screen, to half a step.

        The newest code in it was on already, the next was not yet: in the middle between the two.

        Returns:
            None where no code in it was on within the last seconds.
        """
        with self._lock:
            newest = bisect.bisect_right(self._shown_ns, sighting.captured_ns) - 1  # the last step that can be in it
            steps = [newest - (newest - code) % CODES for code in sighting.codes]
            steps = [step for step in steps if step >= 0 and code_at(step) in sighting.codes]
            steps = [step for step in steps if sighting.captured_ns - self._shown_ns[step] < LONGEST_NS]
            if not steps or max(steps) + 1 >= len(self._shown_ns):
                return None
            return (self._shown_ns[max(steps)] + self._shown_ns[max(steps) + 1]) // 2


def screen_report(shown: Shown, sightings: Iterable[Sighting], log: LatencyLog) -> ScreenReport:
    """What a session with a screen before its camera amounts to."""
    seen = list(sightings)
    light = {one.captured_ns: at_ns for one in seen if (at_ns := shown.light_ns(one)) is not None}
    captured, reported = (WINDOW_COLUMNS.index(name) for name in ("captured_ns", "reported_ns"))
    to_event = [row[reported] - light[row[captured]] for row in log.rows("window").tolist() if row[captured] in light]
    to_frame = [captured_ns - at_ns for captured_ns, at_ns in light.items()]
    return ScreenReport(
        len(seen),
        len(light),
        round(shown.step_ns() / 2 / NS_PER_MS, 2),
        figures(np.array(to_frame) / NS_PER_MS),
        figures(np.array(to_event) / NS_PER_MS),
    )


class CodeScreen:
    """The process that shows the pattern, and what it reports. A context manager."""

    def __init__(self) -> None:
        self.shown = Shown()
        self._printed = tempfile.TemporaryFile()  # noqa: SIM115 - what the process prints goes with this object
        self._begun = threading.Event()  # it shows something, or never will
        self._process: subprocess.Popen[bytes] | None = None
        self._reader = threading.Thread(target=self._read, name="screen", daemon=True)

    def __enter__(self) -> CodeScreen:
        """Raises BadInput: there is neither a display nor a terminal. Failed: it cannot be drawn on."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "realtime.latency.screen.show", *_where()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._printed,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)},
        )
        self._reader.start()
        self._begun.wait(START_S)
        if not self.shown.step_ns():
            self.__exit__()
            self._printed.seek(0)
            last = self._printed.read().decode(errors="replace").strip().splitlines()[-1:]
            raise Failed(f"the screen cannot be shown: {last[0] if last else 'its process ended'}")
        return self

    def __exit__(self, *_: object) -> None:
        process = self._process
        if process is None or process.stdin is None:
            return
        with contextlib.suppress(OSError):
            process.stdin.close()
        try:
            process.wait(2.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._reader.join(2.0)
        process.stdout.close() if process.stdout else None

    def _read(self) -> None:
        process = self._process
        if process is None or process.stdout is None:
            return
        for line in process.stdout:
            step, shown_ns = line.split()
            self.shown.add(int(step), int(shown_ns))
            if step != b"0":
                self._begun.set()
        self._begun.set()


def _where() -> list[str]:
    """Nothing where there is a display, else the terminal that we write to."""
    if sys.platform in ("win32", "darwin") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        return []
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and stream.isatty():
            return [os.ttyname(stream.fileno())]
    raise BadInput("a display or a terminal for --screen", "neither", "run it where a screen is")
