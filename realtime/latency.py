"""How long each stage took: bounded-error, bounded-memory histograms of the stage stamps."""

from __future__ import annotations

import threading

from hdrh.histogram import HdrHistogram

from events.types import Stamps
from realtime.clock import NS_PER_MS

HIGHEST_US = 600_000_000  # ten minutes; longer is recorded as this
STAGES = ("transport", "queue", "compute", "total")


class StageLatency:
    """Latency of a window's newest frame through each stage.

    transport: grab to off the wire (view and ZeroMQ included); queue: from there, the wait for the window to fall due
    and for the engine; compute: the engine; total: grab to prediction. Values keep 2 significant digits.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._histograms = {stage: HdrHistogram(1, HIGHEST_US, 2) for stage in STAGES}

    def record(self, stamps: Stamps) -> None:
        """Add one window's stamps."""
        spans_ns = (
            stamps.received_ns - stamps.captured_ns,
            stamps.infer_start_ns - stamps.received_ns,
            stamps.infer_end_ns - stamps.infer_start_ns,
            stamps.infer_end_ns - stamps.captured_ns,
        )
        with self._lock:
            for stage, span_ns in zip(STAGES, spans_ns, strict=True):
                self._histograms[stage].record_value(min(max(span_ns // 1000, 1), HIGHEST_US))

    def percentiles(self) -> dict[str, tuple[float, float]]:
        """Stage → (p50, p99) in milliseconds; empty before the first window."""
        with self._lock:
            return {
                stage: (_ms(histogram.get_value_at_percentile(50)), _ms(histogram.get_value_at_percentile(99)))
                for stage, histogram in self._histograms.items()
                if histogram.get_total_count()
            }


def _ms(microseconds: int) -> float:
    return microseconds * 1000 / NS_PER_MS
