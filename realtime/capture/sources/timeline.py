"""Stored timestamps into presentation times that only move forward."""

from __future__ import annotations

import itertools
from collections import Counter, deque
from collections.abc import Iterator
from fractions import Fraction

import av

from realtime.capture.sources.base import TIME
from realtime.clock import NS_PER_S

RESTART_NS = NS_PER_S  # a longer step back is a clock that started again, not a picture out of order
MAX_GAP_NS = 3600 * NS_PER_S  # a longer step forward is another clock, too
LOOK_AHEAD = 8  # pictures that an outlier is judged against
LEAST_RATE, MOST_RATE = Fraction(1, 60), Fraction(2000)  # frames/s that can be
UNUSUAL_RATE = 250  # frames/s: a person is rarely filmed faster
UNCONFIRMED_NS = 60 * NS_PER_S  # a step that nothing follows, or that the recording begins with, is believed up to this


def without_outliers(frames: Iterator[av.VideoFrame], left_out: Counter[str]) -> Iterator[av.VideoFrame]:
    """Leave out and count the pictures whose time steps away from the others' and does not stay there.

    A step of more than a second is believed unless one of the next pictures goes on where the last one was.
    """
    ahead: deque[av.VideoFrame] = deque()
    last_ns: int | None = None
    while True:
        while len(ahead) <= LOOK_AHEAD and (frame := next(frames, None)) is not None:
            ahead.append(frame)
        if not ahead:
            return
        frame = ahead.popleft()
        time_ns = stored_ns(frame)
        if time_ns is not None:
            if _outlier(last_ns, time_ns, [later for later in map(stored_ns, ahead) if later is not None]):
                left_out[TIME] += 1
                continue
            last_ns = time_ns
        yield frame


def _outlier(last_ns: int | None, time_ns: int, later: list[int]) -> bool:
    """later: times of the next pictures."""
    if last_ns is None:  # the first: only one that all others contradict
        away = [abs(one - time_ns) > UNCONFIRMED_NS for one in later]
        return len(away) > 1 and all(away) and abs(later[1] - later[0]) <= RESTART_NS
    if abs(time_ns - last_ns) <= RESTART_NS:
        return False
    if not later:
        return abs(time_ns - last_ns) > UNCONFIRMED_NS
    return any(
        0 < one - last_ns <= RESTART_NS * (2 + at) and abs(one - last_ns) < abs(time_ns - last_ns) - RESTART_NS
        for at, one in enumerate(later)
    )


def believable_rate(declared: Fraction | None, times_ns: list[int]) -> tuple[Fraction | None, str]:
    """The frame rate of a stream, Hz, and what people must know of it; None where it cannot be.

    Args:
        declared: what the header says, if anything.
        times_ns: stored times of the first pictures; where most steps between them give a rate that can be, they count.
    """
    steps = sorted(later - earlier for earlier, later in itertools.pairwise(times_ns) if later > earlier)
    measured = Fraction(NS_PER_S, steps[len(steps) // 2]) if steps else None
    rate = declared if measured is None else measured
    if rate is not None and not LEAST_RATE <= rate <= MOST_RATE:
        return None, ""
    if (
        measured is not None
        and declared
        and not measured / 2 <= declared <= measured * 2
        and not LEAST_RATE <= declared <= UNUSUAL_RATE
    ):
        claimed, true = float(declared), float(measured)
        return measured, f"the header claims {claimed:.6g} frames/s, the pictures' times say {true:.4g}"
    if rate is not None and rate > UNUSUAL_RATE:
        return rate, f"claims {float(rate):.4g} frames/s throughout; if that is wrong give the true rate with --fps"
    return declared or measured, ""


def stored_ns(frame: av.VideoFrame) -> int | None:
    """The stored presentation time, else the decoding time; None where there is neither."""
    stamp = frame.pts if frame.pts is not None else frame.dts
    return None if stamp is None or frame.time_base is None else round(stamp * frame.time_base * NS_PER_S)


class Timeline:
    """Places decoded pictures in time.

    * The presentation timestamp counts. Where a container's presentation timestamps run backwards more often than
      its decoding timestamps (H.264 in AVI), the latter count instead.
    * A picture without either follows the one before it by one frame period; the first is at zero.
    * A picture not later than the one before it is dropped: a window needs times that grow.
    * A step back of more than a second, or ahead of more than an hour, is a clock that was restarted (joined
      recordings): the timeline goes on one frame period after the last picture. Outliers must be left out before.

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
        if self._last_ns is not None and not 0 < time_ns - self._last_ns <= MAX_GAP_NS:
            if 0 <= self._last_ns - time_ns <= RESTART_NS:
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
