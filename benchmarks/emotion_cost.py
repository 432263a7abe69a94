"""What the emotion pass costs the micro-action path: the same recording with it and without it."""

from __future__ import annotations

import statistics
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks.harness import Result, machine, median_ms
from benchmarks.recording import write_person
from benchmarks.sessions import TimedRuntime, run_session
from engines.bundle import Bundle, find
from engines.runtimes import open_runtime
from realtime.analysis.emotion import EmotionModel
from realtime.config import Config
from realtime.session import DEFAULT_EMOTION, DEFAULT_MODEL

ROUNDS = 5
SECONDS = 12.0  # of recording


def run() -> Result:
    """Windows/s of the micro-action model with emotions on over without, in turn."""
    with tempfile.TemporaryDirectory(prefix="manet-live-bench-") as folder, ExitStack() as stack:
        recording = Path(folder) / "person.mp4"
        person = write_person(recording, SECONDS)
        model, bundle = (Bundle.load(find(name)) for name in (DEFAULT_MODEL, DEFAULT_EMOTION))
        runtime = stack.enter_context(open_runtime(model))
        emotion = EmotionModel(bundle, stack.enter_context(open_runtime(bundle)), Config())
        rates: dict[str, list[float]] = {"on": [], "off": []}
        judged = 0
        for _ in range(ROUNDS):
            for name, given in (("on", emotion), ("off", None)):
                timed = TimedRuntime(runtime)
                (stats,) = run_session([recording], model, timed, Config(), emotion=given)
                rates[name].append(timed.windows_per_s)
                judged = stats.emotion_windows.judged if stats.emotion_windows else judged
        of_emotion, of_actions = (
            {name: array[:1] for name, array in one.reference_arrays().inputs.items()} for one in (bundle, model)
        )
        engine = median_ms(
            {"emotion_ms": lambda: emotion.runtime.run(of_emotion), "window_ms": lambda: runtime.run(of_actions)},
            rounds=20,
        )
        name = runtime.name
    ratios = [on / off for on, off in zip(rates["on"], rates["off"], strict=True)]
    return Result(
        ours=statistics.median(rates["on"]),
        other=statistics.median(rates["off"]),
        ratio=statistics.median(ratios),
        unit="windows/s",
        compared=f"replay --speed max of a 1080x1296 recording of {person}, {DEFAULT_MODEL} in {name}, with "
        f"{bundle.card.name} ({judged} windows) against without; medians of {ROUNDS} rounds in turn",
        machine=machine(),
        details={"lowest_ratio": min(ratios), "highest_ratio": max(ratios), **engine},
    )
