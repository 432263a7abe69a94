from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from engines.bundle import Bundle
from engines.common.errors import BadInput
from engines.runtimes import open_runtime
from engines.specs.base import OFFICIAL_SPAN_S
from events.offline import session_events
from events.scores import Event, score_events
from realtime.analysis.window import SlidingWindow
from simulation import drawing_cache
from simulation.drawing_cache import MISSED_S, Cache, Plan
from simulation.session import Settings, simulate
from simulation.windows import draw, events_of, judge, judge_sessions, live_ends, samples, targets
from tests.conftest import manet_live
from tests.realtime.analysis.test_window import frame_at
from tests.training.conftest import run_command
from training.__main__ import main
from training.data.drawings import SimulatedWindows, chances_of, preference_of
from training.data.rare_actions import prefer_rare
from training.evaluate_simulated import drawn_anew

pytestmark = pytest.mark.slow

SPAN_NS, HOP_NS = round(OFFICIAL_SPAN_S * 1e9), 250_000_000
PLAN = Plan("train", sessions=2, seconds=6.0, seed=3, size=32, length=4)
TINY = """
name = "tiny"
task = "drawings"
[network]
architecture = "manet"
depth = 18
width = 8
size = 32
length = 4
embedding = false
mirrored = true
[data]
sessions = 2
seconds = 6.0
windows = 8
[[curriculum]]
from_epoch = 1
data.seed = 1
data.windows = 4
[optimiser]
epochs = 2
batch_size = 4
learning_rate = 3e-3
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    return Cache(tmp_path_factory.mktemp("drawings") / "train", PLAN)


@pytest.fixture(scope="module")
def simulated_recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="module")
def simulated_run(simulated_recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("simulated") / "run"
    assert main(run_command(simulated_recipe, out)) == 0
    return out


@pytest.fixture
def simulated_model(simulated_run: Path) -> Path:
    return simulated_run / "model"


@pytest.mark.parametrize("length", [4, 8])
@pytest.mark.parametrize("fps", [15.0, 30.0])
def test_windows_are_cut_as_the_live_path_cuts_them(length: int, fps: float) -> None:
    session = simulate(1, 6.0, fps)
    live = SlidingWindow(0, length, SPAN_NS, HOP_NS, SPAN_NS)
    windows = [
        window for index, time in enumerate(session.times_ns.tolist()) for window in live.push(frame_at(time, index), 0)
    ]
    ends = live_ends(session, SPAN_NS, HOP_NS)
    np.testing.assert_array_equal(ends[: len(windows)], [window.end_ns for window in windows])
    assert len(ends) - len(windows) <= 1  # live, the last may wait for one more frame
    chosen = samples(session.times_ns, ends, SPAN_NS, length)
    np.testing.assert_array_equal(chosen[: len(windows)], np.stack([window.frame_ids for window in windows]))


def test_targets_by_hand() -> None:
    """Span 1.6 s, 8 drawings, focus 1/2: of a window that ends at 2.0 the middle part is 0.9 .. 1.7."""
    events: list[Event] = [(9, 0.0, 1.1), (24, 1.3, 5.0), (30, 1.0, 1.2), (12, 1.8, 3.0)]
    found = targets(events, np.array([2.0]), span_s=1.6, length=8, focus=0.5)[0]
    assert found[[9, 24, 30, 12]] == pytest.approx([0.25, 0.5, 1.0, 0.0], abs=1e-6)  # all of the third
    assert (found.dtype, np.count_nonzero(found)) == (np.float32, 3)
    whole = targets(events, np.array([2.0]), span_s=1.6, length=8, focus=1.0)[0]
    assert whole[24] == pytest.approx((2.1 - 1.3) / 1.6)  # 0.5 .. 2.1: the middle of the drawings, not of the window


def test_onsets_are_where_scores_reach_one_half() -> None:
    """A window whose drawings are centred on the onset of a long event answers one half: no bias of the date."""
    ends = np.arange(2.0, 8.0, 0.01)
    found = targets([(9, 4.0, 9.0)], ends, OFFICIAL_SPAN_S, 8, 0.5)[:, 9]
    middle = ends - OFFICIAL_SPAN_S / 2 + OFFICIAL_SPAN_S / 16
    assert middle[np.argmax(found >= 0.5)] == pytest.approx(4.0, abs=0.011)


def test_sessions_to_train_on_begin_at_any_moment() -> None:
    sessions = [PLAN.session(number)[0] for number in range(12)]
    assert all(0 <= len(one) - round(PLAN.seconds * one.fps) <= MISSED_S * one.fps + 1 for one in sessions)
    assert 2 <= sum(any(event.onset_s < 0.0 for event in one.truth) for one in sessions) <= 11


def test_cached_windows_are_those_of_the_session(cache: Cache) -> None:
    source = SimulatedWindows(cache, count=5)
    example = source.item(2, 1)
    clip, target = example["clips"], example["targets"]
    assert (clip.shape, clip.dtype, target.shape) == ((4, 32, 32, 3), np.uint8, (52,))
    drawings, end_s, events = cache.window(1, 3)
    session, first_s = PLAN.session(1)
    moments = np.round((first_s + np.arange(3, 7) * PLAN.spacing_s) * 1e9)
    indices = np.searchsorted(session.times_ns, moments, side="right") - 1
    np.testing.assert_array_equal(drawings, draw(session, indices, 32))
    assert end_s == pytest.approx(moments[-1] * 1e-9)
    assert events == events_of(session)


def test_examples_vary_by_epoch_and_validation_does_not(cache: Cache) -> None:
    chances = chances_of(cache, preference_of(cache))
    varied, held = SimulatedWindows(cache, 4, chances=chances), SimulatedWindows(cache, 4)
    np.testing.assert_array_equal(
        varied.item(0, 0)["clips"], SimulatedWindows(cache, 4, chances=chances).item(0, 0)["clips"]
    )
    assert any((varied.item(at, 0)["clips"] != varied.item(at, 1)["clips"]).any() for at in range(4))
    np.testing.assert_array_equal(held.item(3, 0)["clips"], held.item(3, 9)["clips"])


def test_windows_of_rare_actions_are_picked_as_often_as_said(tmp_path: Path) -> None:
    cache = Cache(tmp_path, replace(PLAN, sessions=4, seconds=12.0))
    preference = preference_of(cache)
    added = chances_of(cache, preference)
    wanted = np.concatenate([cache.targets(number) for number in range(cache.plan.sessions)])
    chances = np.diff(added, prepend=0.0)
    np.testing.assert_allclose(chances, preference.chance(wanted), rtol=1e-6)
    source = SimulatedWindows(cache, 3000, chances=added)
    picked = np.stack([source.item(index, 0)["targets"] for index in range(len(source))])
    expected = chances @ wanted / chances.sum()
    np.testing.assert_allclose(picked.mean(axis=0), expected, atol=0.025)
    assert np.abs(expected - wanted.mean(axis=0)).max() > 0.05  # or the last line says nothing


def test_offsets_make_up_for_what_is_preferred() -> None:
    """Actions never at once: log-odds as picked, less the offsets, are those of windows as they come."""
    wanted = np.zeros((1000, 52), np.float32)
    wanted[:10, 18] = wanted[10:110, 21] = wanted[110:160, 3] = 1.0
    preference = prefer_rare(wanted)
    assert preference.weights[[18, 3, 21]] == pytest.approx([5.0, 1.0, 0.5])
    chances = preference.chance(wanted)
    assert chances[[0, 10, 110, 999]] == pytest.approx([1.0, 0.1, 0.2, 0.2])
    share = 10.0 / chances.sum()  # of action 18 among the picked ones
    assert np.log(share / (1 - share)) - preference.offsets[18] == pytest.approx(np.log(0.01 / 0.99), abs=1e-5)
    assert preference.offsets[21] < 0.0 < preference.offsets[18]
    assert preference.offsets[5] == 0.0


def test_splits_share_nobody() -> None:
    """The same numbers and seed, another split: another body, camera and course of events."""
    first, second = (Plan(split, 2, 6.0, 3, 32, 4).session(0)[0] for split in ("train", "validation"))
    assert first.subject != second.subject
    assert first.camera != second.camera


def test_a_cache_of_other_sessions_is_refused(cache: Cache, tmp_path: Path) -> None:
    counted: list[int] = []
    cache.fill(0, lambda _, done, total: counted.append(total))
    cache.fill(0, lambda _, done, total: counted.append(total))
    assert len(counted) <= PLAN.sessions, "only what is missing is drawn"
    shutil.copytree(cache.folder, tmp_path / "copy")
    with pytest.raises(BadInput, match="delete that folder"):
        Cache(tmp_path / "copy", Plan("train", 2, 6.0, 4, 32, 4))
    assert Cache(tmp_path / "copy", Plan("train", 9, 6.0, 3, 32, 4)).plan.sessions == 9  # more of the same is welcome
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.doc").touch()
    with pytest.raises(BadInput, match="with other files"):
        Cache(tmp_path / "other", PLAN)


def test_drawings_of_another_program_are_refused(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """The identity covers what draws: the simulation, the package of landmarks, the libraries."""
    before = PLAN.identity
    monkeypatch.setattr("cv2.__version__", "0.0")
    assert PLAN.identity != before
    monkeypatch.undo()
    module = Path(str(drawing_cache.__file__))
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read(path) + b"#" * (path == module))
    assert PLAN.identity != before


@pytest.mark.long
def test_a_landmark_bundle_is_made_and_judged_on_the_live_grid(
    simulated_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = Bundle.load(simulated_run / "model")
    card = bundle.card
    assert (card.view, card.trained, card.calibration.activation) == ("landmarks", True, "sigmoid")
    assert card.provenance.trained_on == "simulated interviews: 4 sessions of 6 s, 12 windows"
    folders = {path.name for path in (simulated_run / "cache").iterdir()}
    assert folders == {"train-0", "train-1", "validation-0"}, "the curriculum changes the sessions"
    session = simulate(0, 5.0, settings=Settings(split="test"))
    with open_runtime(bundle, "onnxruntime", threads=1) as engine:
        judged = judge(engine, card, session)
        assert judge(engine, card, simulate(0, 1.0, settings=Settings(split="test"))).logits.shape == (0, 52)
    np.testing.assert_array_equal(judged.ends_ns, live_ends(session, SPAN_NS, HOP_NS))
    assert (judged.logits.shape, judged.logits.dtype) == ((len(judged.ends_ns), 52), np.float32)
    assert bundle.probabilities(judged.logits).max() < 0.9
    one = draw(session, samples(session.times_ns, judged.ends_ns[4:5], SPAN_NS, 4), 32)
    assert one.shape == (1, 4, 32, 32, 3)
    table = tmp_path / "scores.csv"
    command = ["evaluate-simulated", str(bundle.path), "--sessions", "1", "--seconds", "6", "--out", str(table)]
    assert main([*command, "--workers", "0"]) == 0
    printed = capsys.readouterr().out
    assert all(word in printed for word in ("natural", "balanced", "idle", "false/h"))
    lines = table.read_text().splitlines()
    assert len(lines) == 1 + 3 * 52
    assert lines[10].startswith("natural,9,nodding,head,")


@pytest.mark.parametrize("streaming", [pytest.param(False, marks=pytest.mark.long), True])
def test_offline_events_are_those_of_the_live_path(
    simulated_model: Path, streaming_bundle: Bundle, tmp_path: Path, streaming: bool
) -> None:
    """The same session through `run_live.py demo`, with capture process, sockets and threads."""
    bundle = Bundle.load(simulated_model)
    if streaming:
        bundle = streaming_bundle.derive(
            tmp_path / "streaming", view="landmarks", calibration=bundle.card.calibration, span_s=bundle.card.span_s
        )
    (judged,) = judge_sessions(bundle, "test", "balanced", 1, 12.0, seed=5)
    levels = np.median(bundle.probabilities(judged.logits), axis=0).astype(np.float64)  # so that something happens
    calibration = msgspec.structs.replace(
        bundle.card.calibration, enter=tuple(levels.tolist()), exit=tuple((0.999 * levels).tolist())
    )
    eventful = bundle.derive(tmp_path / "eventful", calibration=calibration)
    expected = [(index, round(onset, 3), round(offset, 3)) for index, onset, offset in session_events(eventful, judged)]
    ran = manet_live(
        "demo",
        "--seed",
        "5",
        "--seconds",
        "12",
        "--mode",
        "balanced",
        "--speed",
        "max",
        "--headless",
        "--model",
        eventful.path,
        "--no-emotion",
    )  # with it, faces show feelings
    assert ran.code == 0, ran.err
    found = [(one["index"], one["onset_s"], one["offset_s"]) for one in ran.of("action") if one["state"] == "ended"]
    assert sorted(found) == sorted(expected)
    assert len(expected) > 5


def test_a_network_with_states_knows_all_frames_before(streaming_bundle: Bundle, tmp_path: Path) -> None:
    """Scores a frame apart; those of the clip of all frames so far, not of a window by itself."""
    bundle = streaming_bundle.derive(tmp_path / "streaming", view="landmarks")
    session = simulate(0, 8.0, settings=Settings(split="test"))
    with open_runtime(bundle, "onnxruntime", threads=1) as engine:
        judged = judge(engine, bundle.card, session)
        assert judge(engine, bundle.card, simulate(0, 1.0, settings=Settings(split="test"))).logits.shape == (0, 52)
        spacing_ns = SPAN_NS // 8
        np.testing.assert_array_equal(judged.ends_ns, live_ends(session, spacing_ns * 8, spacing_ns))
        chosen = samples(session.times_ns, judged.ends_ns, spacing_ns * 8, 8)
        first, last = (engine.infer(draw(session, chosen[[at]], 32)).logits for at in (0, -1))
    np.testing.assert_allclose(judged.logits[:1], first, rtol=1e-5, atol=1e-6)
    assert np.abs(judged.logits[-1] - last[0]).max() > 1e-3 * np.abs(last).max()


def test_the_difference_of_two_models_is_over_the_same_sessions(
    simulated_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["evaluate-simulated", str(simulated_model), "--against", str(simulated_model), "--mode", "balanced"]
    assert main([*command, "--sessions", "2", "--seconds", "6", "--workers", "0"]) == 0
    assert "+0.000" in capsys.readouterr().out.replace("\n", "")
    scores = [score_events([([(0, 0.0, 1.0)], found)], 60.0) for found in ([(0, 0.0, 1.0)], [])]
    whole = drawn_anew(scores, np.array([2, 0]))
    assert (whole.f1_micro, whole.hours) == (1.0, pytest.approx(2 / 60))
    assert drawn_anew(scores, np.array([1, 1])).f1_micro == pytest.approx(2 / 3)


def test_sessions_played_in_processes_are_the_same(simulated_model: Path) -> None:
    bundle = Bundle.load(simulated_model)
    alone, together = (
        list(judge_sessions(bundle, "test", "balanced", 2, 6.0, seed=5, workers=workers)) for workers in (1, 2)
    )
    for one, other in zip(alone, together, strict=True):
        assert one.events == other.events
        np.testing.assert_array_equal(one.ends_ns, other.ends_ns)
        np.testing.assert_allclose(one.logits, other.logits, rtol=1e-3, atol=1e-4)  # runtimes may differ


@pytest.mark.parametrize("change", ["data.focus=0", "data.seconds=1", "data.sessions=0", "network.width=4"])
def test_impossible_simulations(
    change: str, simulated_recipe: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    refused(*run_command(simulated_recipe, tmp_path / "out", change))


def test_models_of_another_view_are_refused(trained: Path, refused: Callable[..., str]) -> None:
    assert "landmark view" in refused("evaluate-simulated", trained / "model")
