"""Runtimes: one lifecycle, one parity check at the door. Importing this package imports no vendor's library."""

from engines.runtimes.base import Availability, NoAnswer, Runtime, RuntimeFailed, Scores, Video
from engines.runtimes.inference_server import ServerSettings
from engines.runtimes.parity import ParityMismatch, check_parity
from engines.runtimes.select import RUNTIMES, available, least_ms, open_runtime

__all__ = [
    "RUNTIMES",
    "Availability",
    "NoAnswer",
    "ParityMismatch",
    "Runtime",
    "RuntimeFailed",
    "Scores",
    "ServerSettings",
    "Video",
    "available",
    "check_parity",
    "least_ms",
    "open_runtime",
]
