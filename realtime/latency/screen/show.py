"""Shows the pattern, full-screen or in the terminal. A process of its own: nothing else keeps it from its beat.

Runs as `python -m realtime.latency.screen.show [TERMINAL]`. Reports on standard output, a line each, which step was on
when (monotonic ns, once it was handed over to the display); the end of standard input stops it.
"""

from __future__ import annotations

import abc
import itertools
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from realtime.clock import NS_PER_S, Clock, MonotonicClock
from realtime.latency.screen.codes import SIDE, UInt8Array, draw

STEPS_PER_S = 30
WINDOW_PIXELS = 1140
COLOURS = {  # (upper white, lower white) → of an upper half block
    (up, down): f"\x1b[38;5;{231 if up else 16};48;5;{231 if down else 16}m"
    for up in (False, True)
    for down in (False, True)
}


class Surface(abc.ABC):
    """Where the pattern is shown."""

    @abc.abstractmethod
    def show(self, pattern: UInt8Array) -> None:
        """Hand a (SIDE, SIDE) pattern over to the display.

        Raises:
            EOFError: nobody wants to see it any more.
        """

    def close(self) -> None:  # noqa: B027 - not every surface holds something
        """Leave things as they were."""


class FullScreenWindow(Surface):
    """A full-screen window."""

    NAME = "manet-live"

    def __init__(self) -> None:
        cv2.namedWindow(self.NAME, cv2.WINDOW_NORMAL)
        cv2.setWindowProperty(self.NAME, cv2.WND_PROP_FULLSCREEN, cv2.WINDOW_FULLSCREEN)

    def show(self, pattern: UInt8Array) -> None:
        cv2.imshow(self.NAME, pattern.repeat(WINDOW_PIXELS // SIDE, 0).repeat(WINDOW_PIXELS // SIDE, 1))
        if cv2.waitKey(1) in (27, ord("q")):
            raise EOFError

    def close(self) -> None:
        cv2.destroyAllWindows()


class TerminalSurface(Surface):
    """Half blocks on the terminal's alternate screen."""

    def __init__(self, device: Path) -> None:
        self._file = device.open("w", encoding="utf-8")
        self._file.write("\x1b[?1049h\x1b[?25l\x1b[2J")

    def show(self, pattern: UInt8Array) -> None:
        self._file.write("\x1b[H" + half_blocks(pattern, *os.get_terminal_size(self._file.fileno())))
        self._file.flush()

    def close(self) -> None:
        self._file.write("\x1b[0m\x1b[?25h\x1b[?1049l")
        self._file.close()


def half_blocks(pattern: UInt8Array, columns: int, lines: int) -> str:
    """The pattern as large as it fits into so many columns and lines."""
    times = max(1, min(columns // SIDE, 2 * lines // SIDE))
    pixels = pattern.repeat(times, 0).repeat(times, 1) > 127
    if len(pixels) % 2:
        pixels = np.vstack([pixels, np.ones_like(pixels[:1])])
    rows = []
    for above, below in zip(pixels[::2].tolist(), pixels[1::2].tolist(), strict=True):
        runs = itertools.groupby(zip(above, below, strict=True))
        rows.append("".join(COLOURS[pair] + "▀" * len(list(run)) for pair, run in runs))
    return "\x1b[0m\r\n".join(rows) + "\x1b[0m"


def run(surface: Surface, clock: Clock, report: Callable[[int, int], object], stop: threading.Event) -> None:
    """Show step after step until `stop` is set or nobody wants to see them; `report` gets (step, shown ns)."""
    begun_ns = clock.now_ns()
    step = 0
    try:
        while not stop.is_set():
            surface.show(draw(step))
            report(step, clock.now_ns())
            step += 1
            clock.sleep_until(begun_ns + step * NS_PER_S // STEPS_PER_S)
    except EOFError:
        return
    finally:
        surface.close()


def main() -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever started this
    stop = threading.Event()
    threading.Thread(target=_stop_at_end_of_input, args=(stop,), daemon=True).start()
    surface = TerminalSurface(Path(sys.argv[1])) if len(sys.argv) > 1 else FullScreenWindow()
    run(surface, MonotonicClock(), lambda step, shown_ns: print(step, shown_ns, flush=True), stop)
    return 0


def _stop_at_end_of_input(stop: threading.Event) -> None:
    while os.read(0, 1):  # not sys.stdin: its lock, held by a daemon thread, would abort the interpreter's shutdown
        continue
    stop.set()


if __name__ == "__main__":
    sys.exit(main())
