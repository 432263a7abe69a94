"""CPU seconds that a minute of video costs: an hour's interview is an hour of battery and fan."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.harness import Result, machine
from benchmarks.recording import write_person
from engines.bundle import Bundle, find

SECONDS = 30.0  # of recording
START_S = 6.0  # of a shorter one, whose cost is taken off: start and end cost the same whatever is between
MODEL = "landmarks-small"
BARE = """
import sys, av, numpy as np
from realtime.capture.mediapipe.model_files import FACE, HAND, POSE, model_path
from realtime.capture.mediapipe.task import VideoTask
tasks = [VideoTask("pose", model_path(POSE)), VideoTask("hand", model_path(HAND), num_hands=2),
         VideoTask("face", model_path(FACE))]
with av.open(sys.argv[1]) as container:
    for frame in container.decode(video=0):
        pixels = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
        for task in tasks:
            task.detect(pixels, round(frame.time * 1e9))
for task in tasks:
    task.close()
"""


def run() -> Result:
    """The whole of a replay, every process, against MediaPipe's three landmarkers in a bare loop."""
    model = Bundle.load(find(MODEL))
    ours = [sys.executable, "run_live.py", "replay", "--headless", "--speed", "max", "--model", model.card.name]
    bare = [sys.executable, "-c", BARE]
    with tempfile.TemporaryDirectory(prefix="manet-live-bench-") as folder:
        files = {}
        for seconds in (START_S, SECONDS):
            files[seconds] = Path(folder) / f"{seconds:g}.mp4"
            person = write_person(files[seconds], seconds)
        _cpu_s([*ours, str(files[START_S])])  # the first run chooses the engine, and remembers it
        cost = {
            name: {seconds: _cpu_s([*command, str(file)]) for seconds, file in files.items()}
            for name, command in (("ours", ours), ("bare", bare))
        }
    minute = {name: 60.0 * (of[SECONDS] - of[START_S]) / (SECONDS - START_S) for name, of in cost.items()}
    return Result(
        ours=minute["ours"],
        other=minute["bare"],
        ratio=minute["bare"] / minute["ours"],
        unit="CPU s/minute",
        compared=f"replay --speed max --headless of a 1080x1296 recording of {person} at 30 frames/s with {MODEL} and "
        "the emotion estimate, all processes, against decoding and three landmarkers; what starting costs is taken off",
        machine=machine(),
        details={f"{name}_start_cpu_s": of[START_S] - minute[name] * START_S / 60.0 for name, of in cost.items()},
    )


def _cpu_s(command: list[str]) -> float:
    """CPU time of a command and of every process that it waits for."""
    root = Path(__file__).resolve().parent.parent
    before = os.times()
    subprocess.run(command, cwd=root, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system
