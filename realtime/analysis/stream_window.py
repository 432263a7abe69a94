"""Frames to what a network that carries states takes: windows a frame apart, at the spacing of its training."""

from __future__ import annotations

from dataclasses import fields

from realtime.analysis.window import SlidingWindow
from realtime.messages import Frame, StreamWindow, Window


class FrameStream(SlidingWindow):
    """Windows a frame apart: each shows the frames of the one before but the first, and a new one.

    One over a gap, over a restart of the capture process or over two people is skipped, by cause; the next one belongs
    to another run, which the network begins anew.
    """

    def __init__(self, camera_id: int, length: int, spacing_ns: int, max_gap_ns: int) -> None:
        super().__init__(camera_id, length, spacing_ns * length, spacing_ns, max_gap_ns)
        self._generation: int | None = None
        self._followed_ns: int | None = None
        self._changes: list[tuple[int, str]] = []  # media times from which frames show something else, and why
        self._cause = "start"  # of the run

    def push(self, frame: Frame, received_ns: int) -> list[Window]:
        if not self._times_ns or frame.media_ns > self._times_ns[-1]:
            self._note(frame)
        return super().push(frame, received_ns)

    def _note(self, frame: Frame) -> None:
        followed_ns, first = frame.framing.followed_ns, self._generation is None
        if not first and frame.generation != self._generation:
            self._changes.append((frame.media_ns, "restart"))
        elif followed_ns is not None and self._followed_ns is not None and followed_ns < self._followed_ns:
            self._changes.append((frame.media_ns, "person"))
        self._generation = frame.generation
        self._followed_ns = self._followed_ns if followed_ns is None else followed_ns

    def _fault(self, end_ns: int, largest_gap_ns: int) -> str:
        first_ns = end_ns - self._span_ns + self._offsets_ns[0]  # the first frame is the newest one up to here
        self._changes = [change for change in self._changes if change[0] > first_ns]
        causes = [cause for at_ns, cause in self._changes if at_ns <= end_ns]
        return super()._fault(end_ns, largest_gap_ns) or (causes[0] if causes else "")

    def _skip(self, cause: str, count: int = 1) -> None:
        super()._skip(cause, count)
        self._cause = cause

    def _made(self, window: Window, frames: list[Frame]) -> StreamWindow:  # noqa: ARG002
        of_window = {field.name: getattr(window, field.name) for field in fields(Window)}
        return StreamWindow(**of_window, run=sum(self.skipped.values()), cause=self._cause)
