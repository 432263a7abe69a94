"""Latency of every frame and window, stage by stage: measured, summed up, shown, written to files."""

from realtime.latency.log import ROWS_FILES, ROWS_RECENT, LatencyLog

__all__ = ["ROWS_FILES", "ROWS_RECENT", "LatencyLog"]
