"""Our wire against imagezmq, with raw pyzmq as the floor and shared memory as the ceiling."""

from __future__ import annotations

from benchmarks.harness import Result, machine
from benchmarks.transport import frames_per_s

FULL_FRAMES, CROPS = 300, 3000


def run() -> Result:
    """Frames/s of the bytes of a 1080p frame; crops, and 1080p pictures that become crops, in the details."""
    names = ["ours", "imagezmq", "imagezmq, ipc", "raw pyzmq", "shared memory", "ours, CURVE"]
    full = frames_per_s(names, FULL_FRAMES, full=True, counts={"ours, CURVE": 60})
    crops = frames_per_s([name for name in names if name != "shared memory"], CROPS, full=False)
    task = frames_per_s(["ours", "imagezmq"], FULL_FRAMES, full=True, crop=True)
    return Result(
        ours=full["ours"],
        other=full["imagezmq"],
        ratio=full["ours"] / full["imagezmq"],
        unit="frames/s",
        compared="frames of 1080p size (6.2 MB) from process to process: our wire (PUSH/PULL over ipc, headers "
        "checked, peer authenticated) against imagezmq as it comes (REQ/REP over TCP, in the clear); medians of "
        "rounds in turn",
        machine=machine(),
        details={
            **{f"full {name}": value for name, value in full.items()},
            **{f"crop {name}": value for name, value in crops.items()},
            **{f"1080p picture to crop {name}": value for name, value in task.items()},
            "full ratio to raw pyzmq": full["ours"] / full["raw pyzmq"],
            "crop ratio": crops["ours"] / crops["imagezmq"],
            "1080p picture to crop ratio": task["ours"] / task["imagezmq"],
        },
    )
