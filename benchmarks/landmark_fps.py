"""Frames/s of the landmark path from a recording: decoding, tracking, drawing, wire, windows, engine."""

from __future__ import annotations

import io
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from rich.console import Console

from benchmarks.harness import Result, machine, median_ms
from benchmarks.recording import write_person
from benchmarks.sessions import TimedRuntime, run_session
from engines.bundle import Bundle, find
from engines.landmarks.drawing import LandmarkDrawing
from engines.landmarks.points import Landmarks
from engines.runtimes import open_runtime
from realtime.capture.mediapipe.model_files import FACE, HAND, POSE, model_path
from realtime.capture.mediapipe.task import VideoTask
from realtime.capture.views.landmark_tracker import LandmarkTracker
from realtime.config import Config
from realtime.messages import Frame
from realtime.output.overlay import Overlay, OverlayState
from realtime.session_loop import SessionLoop
from realtime.transport import wire

MODEL = "landmarks-small"
SECONDS = 18.0  # of recording
FPS = 30.0
ROUNDS = 3
PARTS_S = 3.0  # of recording, to time the parts on
OVERLAY_HZ = Config().overlay.refresh_hz

UInt8Array = npt.NDArray[np.uint8]


def run() -> Result:
    """A whole session at full speed against MediaPipe's three landmarkers one after another on the whole picture."""
    with tempfile.TemporaryDirectory(prefix="manet-live-bench-") as folder:
        recording = Path(folder) / "person.mp4"
        person = write_person(recording, SECONDS)
        model = Bundle.load(find(MODEL))
        states: list[OverlayState] = []

        def watch(session: SessionLoop) -> None:
            while session.pipelines[0].actions.judged < 20 and session.engine.alive:
                time.sleep(0.05)
            states.append(session.snapshot()[0])

        whole = []
        with open_runtime(model, "auto") as runtime:  # as `replay` does
            for _ in range(ROUNDS):
                timed = TimedRuntime(runtime)
                run_session([recording], model, timed, watch=watch)
                whole.append(timed.windows_per_s * Config().window.hop_s * FPS)
            engine = median_ms({"engine_ms": lambda: runtime.infer(timed.windows[-1])}, rounds=20)
            name = runtime.name
        parts = {**_parts(recording, model.card.size), **engine, **_overlay(states[-1])}
    others = parts.pop("in_turn_fps")
    ours = statistics.median(whole)
    return Result(
        ours=ours,
        other=others,
        ratio=ours / others,
        unit="frames/s",
        compared=f"replay --speed max of a 1080x1296 H.264 recording of {person} through the landmark view and {name} "
        f"({MODEL}), median of {ROUNDS}, against pose, hand and face landmarkers one after "
        "another on the decoded picture and nothing else",
        machine=machine(),
        details={"lowest_fps": min(whole), "highest_fps": max(whole), **parts},
    )


def _parts(recording: Path, size: int) -> dict[str, float]:
    """Median ms of each part, and the alternative, on the recording's first seconds."""
    times: dict[str, list[float]] = {name: [] for name in ("decode_ms", "track_ms", "draw_ms", "wire_ms", "in_turn_ms")}

    def timed(name: str, start: float) -> float:
        now = time.perf_counter()
        times[name].append((now - start) * 1e3)
        return now

    models = model_path(POSE), model_path(HAND), model_path(FACE)
    tracks: list[Landmarks] = []
    with closing(LandmarkTracker(*models)) as tracker, av.open(str(recording)) as container:
        drawing = LandmarkDrawing(size)
        alternative = [
            VideoTask("pose", models[0]),
            VideoTask("hand", models[1], num_hands=2),
            VideoTask("face", models[2]),
        ]
        container.streams.video[0].thread_type = "AUTO"
        decoded = container.decode(video=0)
        for index in range(round(PARTS_S * FPS)):
            start = time.perf_counter()
            pixels: UInt8Array = np.asarray(next(decoded).to_ndarray(format="rgb24"), np.uint8)
            time_ns = round(index / FPS * 1e9)
            start = timed("decode_ms", start)
            tracks.append(tracker.track(pixels, time_ns))
            start = timed("track_ms", start)
            body = drawing.draw(tracks[-1])
            start = timed("draw_ms", start)
            wire.decode([bytes(part) for part in wire.encode(Frame(0, index, 0, time_ns, body))])
            start = timed("wire_ms", start)
            for task in alternative:
                task.detect(pixels, time_ns)
            timed("in_turn_ms", start)
        for task in alternative:
            task.close()
    medians = {name: statistics.median(values) for name, values in times.items()}
    medians["in_turn_fps"] = 1e3 / (statistics.mean(times["decode_ms"]) + statistics.mean(times["in_turn_ms"]))
    medians["person_found"] = float(np.mean([each.person for each in tracks]))
    return medians


def _overlay(state: OverlayState) -> dict[str, float]:
    """One redraw of the overlay, and its share of one core at the usual rate."""
    console = Console(file=io.StringIO(), force_terminal=True, width=120, height=40, color_system="truecolor")
    redraw = median_ms({"overlay_ms": lambda: console.print(Overlay(state), height=40)}, rounds=20)["overlay_ms"]
    return {"overlay_ms": redraw, "overlay_share_of_a_core": redraw * OVERLAY_HZ / 1e3}
