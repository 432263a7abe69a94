"""How far another machine's clock is from ours: estimated as NTP does, from the exchanges that were held up least."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

import msgspec

from realtime.bounded_fields import Count, Time
from realtime.clock import NS_PER_MS

EXCHANGES_KEPT = 64
DRIFT = 50e-6  # by which the rates of two quartz clocks may differ; old exchanges count for less
SLEW = 500e-6  # ns a ns by which a correction in use may move, so that corrected times never run backwards
ROUNDING_NS = 2  # of an offset and half a delay, together
STEP_NS = 128 * NS_PER_MS  # a larger change is taken at once: a machine slept (RFC 5905, section 10: STEPT)


class ClockReading(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The other clock minus ours, ns. The truth is within `error_ns`, if the rates differ by no more than `DRIFT`."""

    offset_ns: Time
    error_ns: Count


@dataclass(frozen=True, slots=True)
class _Exchange:
    offset_ns: int
    delay_ns: int
    at_ns: int  # on our clock

    def error_ns(self, now_ns: int) -> int:
        return self.delay_ns // 2 + int(DRIFT * (now_ns - self.at_ns))

    def agrees(self, newer: _Exchange) -> bool:
        """Both may be true of clocks that ran on."""
        apart_ns = abs(newer.offset_ns - self.offset_ns)
        return apart_ns <= self.error_ns(newer.at_ns) + newer.error_ns(newer.at_ns) + ROUNDING_NS


class ClockOffset:
    """Estimates from exchanges, and the correction in use, which follows them smoothly."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._exchanges: deque[_Exchange] = deque(maxlen=EXCHANGES_KEPT)
        self._in_use: tuple[float, int] | None = None  # (offset ns, since when on our clock)

    def add(self, sent_ns: int, received_ns: int, replied_ns: int, returned_ns: int) -> None:
        """One exchange: sent and returned on our clock, received and replied on the other (RFC 5905, section 8).

        What contradicts it is forgotten: the truth is within the errors of both, so one of the clocks stood still (its
        machine slept) or was set in between.
        """
        delay_ns = (returned_ns - sent_ns) - (replied_ns - received_ns)
        offset_ns = ((received_ns - sent_ns) + (replied_ns - returned_ns)) // 2
        if delay_ns < 0:
            return
        newest = _Exchange(offset_ns, delay_ns, returned_ns)
        with self._lock:
            agreeing = [one for one in self._exchanges if one.agrees(newest)]
            self._exchanges = deque([*agreeing, newest], EXCHANGES_KEPT)

    def reading(self, now_ns: int) -> ClockReading | None:
        """The best exchange of late: the least of half its round trip and what the clocks may have drifted since."""
        with self._lock:
            best = min(self._exchanges, key=lambda one: one.error_ns(now_ns), default=None)
        if best is None:
            return None
        return ClockReading(best.offset_ns, best.error_ns(now_ns))

    def to_other(self, time_ns: int, now_ns: int) -> int:
        """A time of our clock on the other one. Later times never come out earlier, but for a step. One thread.

        Raises:
            ValueError: before the first exchange.
        """
        reading = self.reading(now_ns)
        if reading is None:
            raise ValueError("expected an exchange first")
        if self._in_use is None or abs(reading.offset_ns - self._in_use[0]) > STEP_NS:
            self._in_use = (reading.offset_ns, now_ns)
        offset_ns, since_ns = self._in_use
        most_ns = SLEW * max(0, now_ns - since_ns)
        offset_ns += min(max(reading.offset_ns - offset_ns, -most_ns), most_ns)
        self._in_use = (offset_ns, max(now_ns, since_ns))
        return time_ns + round(offset_ns)
