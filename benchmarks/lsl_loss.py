"""What of its windows the live path loses to Lab Streaming Layer: a session with `--lsl` and an inlet, one without."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path
from typing import Any

from benchmarks.harness import Result, machine
from benchmarks.record_cost import paced_session
from benchmarks.recording import write_person
from realtime.output.lsl import LslOutput

SECONDS = 60.0


def run() -> Result:
    """Windows judged with the streams open and read, over those judged without."""
    with tempfile.TemporaryDirectory(prefix="manet-live-bench-") as folder:
        recording = Path(folder) / "person.mp4"
        person = write_person(recording, SECONDS)
        plain = paced_session(recording)
        stop, samples = threading.Event(), [0]
        output = LslOutput()
        reader = threading.Thread(target=_read, args=(stop, samples))
        reader.start()
        streamed = paced_session(recording, [output])
        stop.set()
        reader.join()
    shares = [one.windows / max(one.windows_due, 1) for one in (streamed, plain)]
    return Result(
        ours=shares[0],
        other=shares[1],
        ratio=shares[0] / shares[1],
        unit="of the windows due",
        compared=f"windows judged of {SECONDS:g} s of {person}, paced, with --lsl and an inlet against without",
        machine=machine(),
        details={"windows_lost_percent": 100.0 * max(shares[1] - shares[0], 0.0), "samples_read": float(samples[0])},
    )


def _read(stop: threading.Event, samples: list[int]) -> None:
    import pylsl

    found: list[Any] = []
    while not found and not stop.is_set():
        found = pylsl.resolve_byprop("name", "manet-live posteriors 0", 1, 1.0)
    if found:
        inlet = pylsl.StreamInlet(found[0])
        while not stop.is_set():
            taken, _ = inlet.pull_chunk(timeout=0.2)
            samples[0] += len(taken)
