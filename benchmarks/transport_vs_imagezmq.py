"""Our wire against imagezmq, with raw pyzmq as the floor and shared memory as the ceiling."""

from __future__ import annotations

from benchmarks.harness import Result
from benchmarks.transport import against, frames_per_s

FULL_FRAMES, CROPS = 300, 3000


def run() -> Result:
    """Frames/s of the bytes of a 1080p frame; crops, and 1080p pictures that become crops, in the details."""
    names = ["ours", "imagezmq", "imagezmq, ipc", "raw pyzmq", "shared memory", "ours, CURVE"]
    full = frames_per_s(names, FULL_FRAMES, full=True, counts={"ours, CURVE": 60})
    crops = frames_per_s([name for name in names if name != "shared memory"], CROPS, full=False)
    task = frames_per_s(["ours", "imagezmq"], FULL_FRAMES, full=True, crop=True)
    how = (
        "our wire (PUSH/PULL over ipc, headers checked, peer authenticated) against imagezmq as it comes (REQ/REP "
        "over TCP, in the clear)"
    )
    return against("imagezmq", full, crops, task, how, ("to raw pyzmq", "raw pyzmq"))
