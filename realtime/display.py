"""The live overlay: takes snapshots of a session, a state for each camera, at its refresh rate and draws them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from types import TracebackType

from rich.console import Console
from rich.live import Live

from realtime.analysis.visibility import LOST_WITH, QUICK, SLOW, hidden
from realtime.clock import NS_PER_S
from realtime.keyboard import Keyboard
from realtime.messages import MOST_PEOPLE, Framing
from realtime.output.overlay import Overlay, OverlayState
from realtime.output.overlay.panels import clock

LEAST_SEEN = 0.5  # MA-52 clips show 64 % of their picture, 4:3 webcams 57 %, 16:9 ones 43 %


Snapshot = Callable[[], Sequence[OverlayState]]


class Display:
    """Where a session is drawn. This one is nowhere."""

    @property
    def gone(self) -> bool:
        """Nobody sees what is drawn any more."""
        return False

    def refresh(self, snapshot: Snapshot) -> bool:  # noqa: ARG002 - nothing is drawn
        """Draw, if a redraw is due; whether it was."""
        return False

    def pressed_keys(self) -> list[tuple[str, int]]:
        """Keys pressed since the last call, each with its moment (monotonic ns)."""
        return []

    def leave(self) -> None:
        """Give the terminal back for a while, until `come_back`."""

    def come_back(self) -> None:
        """Draw again."""

    def __enter__(self) -> Display:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave things as they were."""


class TerminalDisplay(Display):
    """Draws on the terminal's alternate screen; leaves the last state behind on the normal one."""

    def __init__(self, refresh_hz: float, console: Console | None = None) -> None:
        self._period_s, self._next_s = 1.0 / refresh_hz, 0.0
        self._console = console or Console()
        self._live = Live(console=self._console, screen=True, auto_refresh=False, redirect_stderr=False)
        self._terminal = self._console.is_terminal
        self._snapshot: Snapshot = tuple
        self._keyboard = Keyboard()

    def __enter__(self) -> Display:
        self._live.start()
        self._keyboard.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._keyboard.close()
        if self.gone:
            with contextlib.suppress(OSError):
                self._live.stop()
            return
        self._live.stop()
        if kind is None and (states := self._snapshot()):
            self._console.print(Overlay(*states), height=min(self._console.height - 1, 30))

    @property
    def gone(self) -> bool:
        return self._terminal and not self._console.is_terminal

    def pressed_keys(self) -> list[tuple[str, int]]:
        return self._keyboard.pop()

    def leave(self) -> None:
        self._keyboard.close()
        self._live.stop()

    def come_back(self) -> None:
        self._live.start()
        self._keyboard.open()
        self._next_s = 0.0

    def refresh(self, snapshot: Snapshot) -> bool:
        now_s, self._snapshot = time.monotonic(), snapshot
        if now_s < self._next_s:
            return False
        self._next_s = now_s + self._period_s
        self._live.update(Overlay(*snapshot()), refresh=True)
        return True


def framing_warnings(framing: Framing, crop: str, now_s: float = 0.0, slow: bool = False) -> tuple[str, ...]:
    """Why what the model sees differs from what it learnt from, one line each.

    Args:
        now_s: session clock of the frame.
        slow: too few pictures come for quick movements.
    """
    warnings = []
    if crop == "center" and framing.seen < LEAST_SEEN:
        warnings.append(f"the crop sees {framing.seen:.0%} of the picture: if it cuts the person, try --crop full")
    if framing.magnified > 1.0:
        warnings.append(f"the person is {framing.magnified:.1f}x smaller than the model expects: move or zoom closer")
    if framing.person_found is False:
        warnings.append("no person found: events mean nothing until one is")
    if framing.people == MOST_PEOPLE and framing.followed_ns is not None:
        since = clock(now_s - framing.followed_ns / NS_PER_S)
        warnings.append(f"several people in view: following the one since {since}")
    warnings.extend(f"{part} out of view: {LOST_WITH[part]} cannot be seen" for part in hidden(framing.unseen))
    if slow:
        warnings.append(f"fewer than {SLOW:.0f} frames/s: {QUICK} cannot be told")
    return tuple(warnings)
