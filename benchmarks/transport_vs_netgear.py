"""Our wire against vidgear's NetGear, as it comes (JPEG) and without its compression."""

from __future__ import annotations

from benchmarks.harness import Result, machine
from benchmarks.transport import frames_per_s

FULL_FRAMES, CROPS = 300, 2000
SLOW = {"NetGear": 60}


def run() -> Result:
    """Frames/s of the bytes of a 1080p frame; crops, and 1080p pictures that become crops, in the details."""
    names = ["ours", "NetGear", "NetGear, no JPEG"]
    full = frames_per_s(names, FULL_FRAMES, full=True, counts=SLOW)
    crops = frames_per_s(names, CROPS, full=False)
    task = frames_per_s(["ours", "NetGear", "NetGear, no JPEG"], FULL_FRAMES, full=True, crop=True, counts=SLOW)
    return Result(
        ours=full["ours"],
        other=full["NetGear"],
        ratio=full["ours"] / full["NetGear"],
        unit="frames/s",
        compared="frames of 1080p size (6.2 MB) from process to process: our wire (lossless, headers checked, peer "
        "authenticated) against NetGear as it comes (PAIR over TCP, JPEG of quality 90, in the clear); medians of "
        "rounds in turn",
        machine=machine(),
        details={
            **{f"full {name}": value for name, value in full.items()},
            **{f"crop {name}": value for name, value in crops.items()},
            **{f"1080p picture to crop {name}": value for name, value in task.items()},
            "full ratio without JPEG": full["ours"] / full["NetGear, no JPEG"],
            "crop ratio": crops["ours"] / crops["NetGear"],
            "1080p picture to crop ratio": task["ours"] / task["NetGear"],
        },
    )
