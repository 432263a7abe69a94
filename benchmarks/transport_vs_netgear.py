"""Our wire against vidgear's NetGear, as it comes (JPEG) and without its compression."""

from __future__ import annotations

from benchmarks.harness import Result
from benchmarks.transport import against, frames_per_s

FULL_FRAMES, CROPS = 300, 2000
SLOW = {"NetGear": 60}


def run() -> Result:
    """Frames/s of the bytes of a 1080p frame; crops, and 1080p pictures that become crops, in the details."""
    names = ["ours", "NetGear", "NetGear, no JPEG"]
    full = frames_per_s(names, FULL_FRAMES, full=True, counts=SLOW)
    crops = frames_per_s(names, CROPS, full=False)
    task = frames_per_s(names, FULL_FRAMES, full=True, crop=True, counts=SLOW)
    how = (
        "our wire (lossless, headers checked, peer authenticated) against NetGear as it comes (PAIR over TCP, JPEG "
        "of quality 90, in the clear)"
    )
    return against("NetGear", full, crops, task, how, ("without JPEG", "NetGear, no JPEG"))
