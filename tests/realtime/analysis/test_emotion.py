"""Emotions live: whole sessions with a real, untrained network."""

import json
import subprocess
import sys
from fractions import Fraction

import av
import numpy as np
import pytest

from engines.bundle import Bundle
from engines.expressions import EXPRESSIONS, NUMBERS
from engines.landmarks.steps import CHANNELS, POINTS, VALID
from engines.runtimes import open_runtime
from engines.taxonomy import EMOTIONS
from events.face_emotion import FaceEmotion, fused, shares_of
from realtime.analysis.emotion import EmotionModel, Fusion, Judged
from realtime.analysis.window import SlidingEmotionWindow
from realtime.capture.mediapipe.model_files import EXPRESSION_NETS
from realtime.capture.order import ViewSpec
from realtime.capture.views.make import model_files
from realtime.clock import NS_PER_S
from realtime.config import Config
from realtime.messages import Frame, Framing
from tests.conftest import ROOT, manet_live, manet_live_here, refused

pytestmark = pytest.mark.slow

SPAN_NS, HOP_NS = 4 * NS_PER_S, NS_PER_S
STEPS, COUNT = 64, 121  # landmark steps of a window; pictures at 30 a second that fill one


def numbers(name, by=6.0):
    """Of a face that both nets call this."""
    made = np.zeros(NUMBERS, np.float32)
    made[[EXPRESSIONS.index(name), EXPRESSIONS.index(name) + len(EXPRESSIONS)]] = by
    return made


def landmarks(index, person=True):
    """Of a person who drifts to the right, all points found; zeros without one."""
    found = np.zeros((POINTS, CHANNELS), np.float32)
    if person:
        found[:, :3] = np.random.default_rng(0).random((POINTS, 3))
        found[:, 0] += index
        found[:, 3:] = 1.0
    return found


def frame(index, face=True, person=True, size=112, expression=None):
    rng = np.random.default_rng(index)
    picture = rng.integers(1, 256, (size, size, 3), np.uint8)
    return Frame(
        0,
        index,
        0,
        index * NS_PER_S // 30,
        picture,
        picture[:64, :64].copy() if face else None,
        framing=Framing(person_found=person),
        landmarks=landmarks(index, person),
        expression=expression,
    )


def stretch_of(frames, steps=STEPS):
    cut = SlidingEmotionWindow(0, 16, SPAN_NS, HOP_NS, NS_PER_S, 64, steps)
    made = [one for each in frames for one in cut.push(each, 0)]
    return made[0]


def test_a_frame_without_face_or_person_is_black_and_marked():
    frames = [
        frame(index, index % 2 == 0, index < 60, expression=numbers("joy", index) if index % 3 else None)
        for index in range(COUNT)
    ]
    stretch = stretch_of(frames, steps=0)
    assert stretch.landmarks.shape == (0, POINTS, CHANNELS)
    assert stretch.frames.shape == (16, 112, 112, 3)
    chosen = stretch.frame_ids
    assert stretch.body_seen.tolist() == [int(each < 60) for each in chosen]
    assert stretch.face_seen.tolist() == [int(each % 2 == 0) for each in chosen]
    assert stretch.expression_seen.tolist() == [int(each % 3 > 0) for each in chosen]
    for at, index in enumerate(chosen):
        assert stretch.frames[at].any() == bool(stretch.body_seen[at])
        assert stretch.faces[at].any() == bool(stretch.face_seen[at])
        assert stretch.expressions[at].max() == (index if index % 3 else 0)
        if stretch.face_seen[at]:
            assert np.array_equal(stretch.faces[at], frames[index].face)


def test_landmark_steps_lie_between_the_pictures_and_end_with_the_window():
    stretch = stretch_of([frame(index, person=index < 60) for index in range(COUNT)])
    places = stretch.landmarks[:, 0, 0] - landmarks(0)[0, 0]  # pictures since the first
    seen = stretch.landmarks[:, 0, VALID] > 0
    step_s = np.arange(1, STEPS + 1) / 16
    assert seen.tolist() == (step_s * 30 <= 59.5).tolist()
    assert places[seen] == pytest.approx(np.minimum(step_s[seen] * 30, 59.0), abs=1e-4)
    assert stretch.body_seen.tolist() == [1] * 8 + [0] * 8


@pytest.fixture
def emotion(emotion_bundle):
    model = Bundle.load(emotion_bundle)
    with open_runtime(model, "onnxruntime") as runtime:
        yield EmotionModel(model, runtime, Config())


def test_a_face_counts_in_full_and_a_body_alone_for_half(emotion):
    smiling = stretch_of([frame(i, expression=numbers("joy")) for i in range(COUNT)])
    blind = stretch_of([frame(i) for i in range(COUNT)])
    close = stretch_of([frame(i, person=False, expression=numbers("joy")) for i in range(COUNT)])
    said = {}
    for name, stretch in (("smiling", smiling), ("blind", blind), ("close", close)):
        judged = emotion.judged(stretch)
        said[name] = Fusion(emotion, Config()).take(stretch, judged)
        assert said[name].shares.sum() == pytest.approx(1.0, abs=1e-5)
    assert (said["smiling"].seen, said["smiling"].face_visible) == (1.0, 1.0)
    assert (said["blind"].seen, said["blind"].face_visible) == (0.5, 0.0)
    assert said["blind"].shares == pytest.approx(emotion.judged(blind).shares)
    alone = FaceEmotion().take(smiling.start_ns, smiling.end_ns, smiling.expressions)
    network = emotion.judged(smiling).shares
    assert said["smiling"].shares == pytest.approx(fused(alone, network, reads_face=True))
    assert (said["close"].seen, EMOTIONS[said["close"].shares.argmax()]) == (1.0, "joy")


def test_a_network_that_sees_another_body_is_not_asked_and_the_face_alone_counts(emotion):
    alone = EmotionModel(emotion.bundle, emotion.runtime, Config(), body=False)
    stretch = stretch_of([frame(i, size=32, expression=numbers("anger")) for i in range(COUNT)], steps=0)
    judged = alone.judged(stretch)
    assert judged.seen == 0.0
    said = Fusion(alone, Config()).take(stretch, judged)
    assert (said.seen, EMOTIONS[said.shares.argmax()]) == (1.0, "anger")
    nothing = stretch_of([frame(i, size=32) for i in range(COUNT)], steps=0)
    assert Fusion(alone, Config()).take(nothing, alone.judged(nothing)).seen == 0.0


def test_a_neutral_face_is_flat_and_neutral(emotion):
    alone = EmotionModel(emotion.bundle, emotion.runtime, Config(), body=False)
    stretch = stretch_of([frame(i, expression=numbers("neutral", 9.0)) for i in range(COUNT)])
    said = Fusion(alone, Config()).take(stretch, Judged(np.full(5, 0.2), 0.0, 0.0))
    assert said.neutral > 0.95
    assert np.ptp(said.shares) < 0.02
    assert said.shares == pytest.approx(shares_of(np.array([[0.0] + 6 * [-0.8 * 9.0]])).shares, abs=1e-6)


def test_pictures_that_are_held_are_no_evidence(emotion):
    cut = SlidingEmotionWindow(0, 16, SPAN_NS, HOP_NS, NS_PER_S, 64, STEPS)
    for index in range(61):  # 2 s, no face in the last picture, which is held for the last quarter
        cut.push(frame(index, expression=numbers("fear") if index < 60 else None), 0)
    (stretch,) = cut.finish(0)
    assert (stretch.end_ns, stretch.recorded_end_ns) == (SPAN_NS, 2 * NS_PER_S)
    pictures = len(set(stretch.frame_ids.tolist()))
    assert stretch.expression_seen.sum() < 16 - 2
    shown = stretch.landmarks[:, 0, VALID] > 0
    assert 32 <= shown.sum() <= 32 + 5  # two seconds, and for as long as a picture stands for what follows
    assert abs((STEPS - 1) / 2 - np.flatnonzero(shown).mean()) < 4  # in the middle
    said = Fusion(emotion, Config()).take(stretch, emotion.judged(stretch))
    assert said.face_visible == pytest.approx(1 - 1 / pictures)
    assert said.seen == pytest.approx(1 - 0.5 / pictures)


def test_two_seconds_are_not_enough_to_go_on(odd_recordings):
    done = manet_live("replay", odd_recordings / "two_seconds.mp4", "--speed", "max", "--headless")
    assert done.code == 0, done.err
    (line,) = done.of("emotion")
    assert line["abstains"]
    assert line["time_s"] == 1.933  # of the last picture
    assert line["evidence_s"] <= 1.933
    times = [one[name] for one in done.of("action") for name in ("onset_s", "offset_s", "emitted_s")]
    assert all(0.0 <= at <= 1.933 for at in times if at is not None)


COMMON = ("--headless", "--engine", "onnxruntime")


def test_a_demo_reports_emotions_and_says_what_they_are(emotion_bundle, tmp_path):
    runs = {
        speed: manet_live(
            "demo",
            "--seconds",
            "9",
            "--speed",
            speed,
            *COMMON,
            "--emotion",
            emotion_bundle,
            "--record",
            tmp_path / speed,
        )
        for speed in ("max", "3")
    }
    done = runs["max"]
    assert done.code == 0, done.err
    lines = done.of("emotion")
    assert [line["time_s"] for line in lines] == [4.0, 5.0, 6.0, 7.0, 8.0]
    for line in lines:
        assert line["newest"].keys() == set(EMOTIONS)
        assert line["neutral"] > 0.5  # this interview begins with a calm face, which is little to go on
        assert (line["probs"] is None) == (line["interval"] is None) == line["abstains"]
        if not line["abstains"]:
            assert line["probs"].keys() == line["interval"].keys() == set(EMOTIONS)
            assert sum(line["probs"].values()) == pytest.approx(1.0, abs=1e-3)
            assert all(low <= line["probs"][name] <= high for name, (low, high) in line["interval"].items())
    evidence = [line["evidence_s"] for line in lines]
    assert evidence == sorted(evidence)
    assert lines[0]["abstains"]
    assert not lines[-1]["abstains"]
    assert done.of("stats")[-1]["emotion_windows"] == {"due": 5, "judged": 5, "skipped": {}}
    (note,) = [line for line in done.of("session") if line["state"] == "emotion"]
    assert "expression, not of feeling" in note["detail"]
    assert "prohibited" in note["detail"]
    assert "expression, not of feeling" in done.err  # one line as the session begins
    session = json.loads((tmp_path / "max" / "session.json").read_text())
    assert session["emotion_model"]["provenance"]["trained"] is False
    assert "prohibited" in session["emotion_note"]
    stretches = runs["3"].of("stats")[-1]["emotion_windows"]
    assert stretches["judged"] + sum(stretches["skipped"].values()) == stretches["due"] == 5
    if not stretches["skipped"]:
        assert runs["3"].of("emotion") == lines  # whatever the speed


def test_without_emotion_nothing_of_it_is_loaded(emotion_bundle, tmp_path):
    broken = tmp_path / "broken"
    broken.mkdir()
    with_it = manet_live("demo", "--seconds", "15", "--speed", "max", *COMMON, "--emotion", emotion_bundle)
    without = manet_live("demo", "--seconds", "15", "--speed", "max", *COMMON, "--no-emotion")
    assert with_it.code == without.code == 0, with_it.err + without.err
    assert without.of("emotion") == []
    assert "emotion" not in {line["state"] for line in without.of("session")}
    assert "emotion" not in without.err
    assert without.of("stats")[-1]["emotion_windows"] is None
    assert len(without.action_text.splitlines()) > 0


def empty_room(path, seconds=8):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=15, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt, stream.time_base = 320, 384, "yuv420p", Fraction(1, 15)
        wall = np.tile(np.linspace(90, 170, 320, dtype=np.uint8)[None, :, None], (384, 1, 3))
        for _ in range(15 * seconds):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(wall, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def test_an_emotion_model_by_name_wins_over_the_configuration(emotion_bundle, tmp_path):
    (tmp_path / "off.toml").write_text("[emotion]\non = false\n")
    for choice, on in (((), "false"), (("--emotion", emotion_bundle), "true"), (("--no-emotion",), "false")):
        done = manet_live_here("demo", "--config", tmp_path / "off.toml", *choice, "--print-config")
        section = done.out.partition("[emotion]")[2].partition("\n[")[0]
        assert [line.split("#")[0].split() for line in section.splitlines() if line.startswith("on ")] == [
            ["on", "=", on]
        ]


def test_of_an_empty_chair_it_says_nothing(emotion_bundle, tmp_path):
    done = manet_live(
        "replay", empty_room(tmp_path / "empty.mp4"), "--speed", "max", *COMMON, "--emotion", emotion_bundle
    )
    assert done.code == 0, done.err
    assert len(done.of("emotion")) >= 4
    for line in done.of("emotion"):
        assert line["abstains"]
        assert line["probs"] is line["interval"] is None
        assert line["evidence_s"] == line["face_visible"] == 0.0


@pytest.mark.long
def test_of_real_people_the_face_is_found_and_their_events_are_those_without_emotions(clips, emotion_bundle):
    names = ("upper_body_asl_walk.mkv", "upper_body_asl_book.mkv")
    recordings = [clips / name for name in names]
    with_it = manet_live("replay", *recordings, "--speed", "max", *COMMON, "--emotion", emotion_bundle)
    without = manet_live("replay", *recordings, "--speed", "max", *COMMON, "--no-emotion")
    assert with_it.code == without.code == 0, with_it.err + without.err
    for camera in (0, 1):
        assert [one for one in with_it.of("emotion") if one["camera"] == camera][-1]["face_visible"] >= 0.8
        actions, others = ([one for one in done.of("action") if one["camera"] == camera] for done in (with_it, without))
        assert actions == others
        assert actions


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (("--model", "untrained-small", "--emotion", "BUNDLE"), "an emotion model that sees"),
        (("--emotion", "landmarks-small"), "an emotion model"),
        (("--emotion", "no-such"), "no-such"),
        (("--model", "BUNDLE"), "a micro-action model"),
        (("--emotion", "BUNDLE", "--no-emotion"), "--help"),
    ],
)
def test_models_that_do_not_fit_are_refused_in_one_line(emotion_bundle, arguments, fault):
    given_ = [str(emotion_bundle) if each == "BUNDLE" else each for each in arguments]
    assert fault in refused("demo", *COMMON, *given_)


def test_the_capture_process_imports_nothing_of_it_unless_faces_are_wanted():
    unwanted = "{'realtime.analysis.emotion', 'events.face_emotion', 'onnxruntime'}"
    code = f"import sys, realtime.capture.process; print({unwanted} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
    assert not set(EXPRESSION_NETS) & set(model_files(ViewSpec(112, sees="landmarks")))
    assert set(EXPRESSION_NETS) < set(model_files(ViewSpec(112, expression=True)))
