"""Runtimes: one lifecycle, one parity check at the door. Importing this package imports no vendor's library."""

from engines.runtimes.base import Availability, Runtime, RuntimeFailed, Scores, Video
from engines.runtimes.select import RUNTIMES, ParityMismatch, available, check_parity, least_ms, open_runtime

__all__ = [
    "RUNTIMES",
    "Availability",
    "ParityMismatch",
    "Runtime",
    "RuntimeFailed",
    "Scores",
    "Video",
    "available",
    "check_parity",
    "least_ms",
    "open_runtime",
]
