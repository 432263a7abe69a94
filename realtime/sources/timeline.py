"""Stored timestamps into presentation times that only move forward."""

from __future__ import annotations

from fractions import Fraction

from realtime.clock import NS_PER_S

RESTART_NS = NS_PER_S  # a longer step back is a clock that started again, not a picture out of order


class Timeline:
    """Places decoded pictures in time.

    * The presentation timestamp counts. Where a container's presentation timestamps run backwards more often than
      its decoding timestamps (H.264 in AVI), the latter count instead.
    * A picture without either follows the one before it by one frame period; the first is at zero.
    * A picture not later than the one before it is dropped: a window needs times that grow.
    * A step back of more than a second is a clock that was restarted (joined recordings): the timeline goes on
      one frame period after the last picture.

    Attributes:
        guessed: pictures without a timestamp.
        restarts: restarted clocks.
    """

    def __init__(self, frame_rate: Fraction | None) -> None:
        """frame_rate: the stream's nominal rate, Hz; used only where timestamps are missing or restart."""
        rate = frame_rate if frame_rate and frame_rate > 0 else Fraction(25)
        self._period_ns = round(NS_PER_S / rate)
        self._last_ns: int | None = None
        self._last_pts: int | None = None
        self._last_dts: int | None = None
        self._faulty_pts = 0
        self._faulty_dts = 0
        self._shift_ns = 0
        self.guessed = 0
        self.restarts = 0

    def place(self, pts: int | None, dts: int | None, time_base: Fraction | None) -> int | None:
        """Presentation time in ns of the next picture in decoding output order; None: drop it.

        Args:
            pts, dts: stored timestamps in units of `time_base` seconds; None where the container has none.
        """
        stamp = self._best(pts, dts)
        if stamp is None or time_base is None:
            self.guessed += 1
            time_ns = 0 if self._last_ns is None else self._last_ns + self._period_ns
        else:
            time_ns = round(stamp * time_base * NS_PER_S) + self._shift_ns
        if self._last_ns is not None and time_ns <= self._last_ns:
            if self._last_ns - time_ns <= RESTART_NS:
                return None
            self.restarts += 1
            self._shift_ns += self._last_ns + self._period_ns - time_ns
            time_ns = self._last_ns + self._period_ns
        self._last_ns = time_ns
        return time_ns

    def _best(self, pts: int | None, dts: int | None) -> int | None:
        if dts is not None:
            self._faulty_dts += self._last_dts is not None and dts <= self._last_dts
            self._last_dts = dts
        if pts is not None:
            self._faulty_pts += self._last_pts is not None and pts <= self._last_pts
            self._last_pts = pts
        if pts is not None and (dts is None or self._faulty_pts <= self._faulty_dts):
            return pts
        return dts
