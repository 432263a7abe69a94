"""Adaptation: it learns what a laboratory shows it, and leaves the model alone where that does not help others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from engines.bundle import Bundle
from engines.common.errors import BadInput
from engines.landmarks.landmark_file import LandmarkHeader, LandmarkWriter, Picture, Rounded
from engines.landmarks.tracks import MISSING, VALUES
from lab.__main__ import main
from lab.adaptation import STRENGTHS, Examples, Heads, adapt, fitted, folds, right
from lab.adaptation_examples import session_examples
from lab.session_record import read_session
from lab.simulated_people import sequences
from lab.words import Event
from simulation.session import Settings, simulate
from tests.conftest import ROOT
from tests.lab.sessions import action, ended, opening, recording, summary, write_session

NOSE, CHIN, WAVE = 43, 41, 19
REAL = ROOT.parent / "shared" / "data" / "real" / "landmarks"


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def heads() -> Heads:
    """Channel 0 says nose, 1 face, 2 waving; the parts follow."""
    layers = {"actions": torch.nn.Linear(8, 52), "parts": torch.nn.Linear(8, 7)}
    with torch.no_grad():
        for layer in layers.values():
            layer.weight.zero_()
            layer.bias.fill_(-3.0)
        for channel, (action, part) in enumerate(((NOSE, 5), (CHIN, 5), (WAVE, 2))):
            layers["actions"].weight[action, channel] = 4.0
            layers["parts"].weight[part, channel] = 4.0
    return Heads(layers, 1.0)


def examples(shown: list[int], named: list[int], seed: int = 0) -> Examples:
    """A second of each channel in `shown`, labelled with the action in `named`, some noise beside."""
    rng = np.random.default_rng(seed)
    features = rng.normal(0.0, 0.1, (len(shown), 16, 8))
    features[np.arange(len(shown)), :, shown] += 1.0
    sets = torch.zeros(len(shown), 52)
    sets[torch.arange(len(shown)), torch.tensor(named)] = 1.0
    found = torch.ones(len(shown), 16)
    words = np.array([f"word {one}" for one in named])
    return Examples(torch.from_numpy(features).float(), found, sets, words, np.array(["one"] * len(shown)))


def test_a_laboratory_that_calls_it_otherwise_is_learnt():
    # channel 3, which the model knows nothing of, is what this laboratory's people do when they touch their nose
    known = examples([3] * 12 + [2] * 12, [NOSE] * 12 + [WAVE] * 12)
    found = adapt(heads(), known)
    assert found.before[0] < 0.75
    assert found.heads is not None
    assert found.after.tolist() == [1.0, 1.0, 1.0]
    others = examples([3] * 20 + [2] * 20 + [1] * 20, [NOSE] * 20 + [WAVE] * 20 + [CHIN] * 20, seed=5)
    after = right(found.heads, others)
    assert after[:40].mean() == 1.0
    assert after[40:].mean() == 1.0  # what no example shows stays right


def test_labels_that_mean_nothing_change_nothing():
    rng = np.random.default_rng(1)
    known = examples(rng.integers(0, 8, 30).tolist(), rng.choice([NOSE, CHIN, WAVE], 30).tolist())
    before = heads()
    found = adapt(before, known)
    if found.heads is not None:  # then only because nothing of what was left out got worse
        assert (found.after >= found.before).all()
    perfect = examples([0] * 8 + [2] * 8, [NOSE] * 8 + [WAVE] * 8)
    assert adapt(before, perfect).heads is None  # nothing to gain


def test_a_stronger_hold_changes_less():
    known, before = examples([3] * 10 + [2] * 10, [NOSE] * 10 + [WAVE] * 10), heads()
    changes = []
    for strength in STRENGTHS[1:]:
        made = fitted(before, known, strength).layers["actions"].weight.detach()
        changes.append(float((made - before.layers["actions"].weight.detach()).square().sum()))
    assert changes == sorted(changes)
    offsets = fitted(before, known, STRENGTHS[0])
    assert torch.equal(offsets.layers["actions"].weight, before.layers["actions"].weight)
    assert not torch.equal(offsets.layers["actions"].bias, before.layers["actions"].bias)


def test_each_example_is_left_out_once_and_words_are_spread():
    known = examples([0] * 9 + [2] * 6, [NOSE] * 9 + [WAVE] * 6)
    parts = list(folds(known, 3, 0))
    assert sorted(np.concatenate([out for _, out in parts]).tolist()) == list(range(15))
    for fit, out in parts:
        assert not set(fit) & set(out)
        assert [int((known.words[out] == word).sum()) for word in np.unique(known.words)] == [2, 3]


def test_of_several_sessions_whole_ones_are_left_out():
    known = replace(examples([0] * 12, [NOSE] * 12), sources=np.array(["a", "b", "c", "d"] * 3))
    parts = list(folds(known, 3, 0))
    assert sorted(np.concatenate([out for _, out in parts]).tolist()) == list(range(12))
    for fit, out in parts:
        assert not set(known.sources[fit]) & set(known.sources[out])


def test_examples_of_a_session_lie_around_its_events(tmp_path):
    """Pictures every 40 ms from 100 s of a machine's clock; the file's own begins 2 s before the first."""
    path = tmp_path / "p07.landmarks"
    writer = LandmarkWriter(path, LandmarkHeader("camera 0", 480, 640, 0))
    for number in range(250):
        values = np.full(VALUES, MISSING, np.int16)
        values[0] = number
        writer.add(Picture(Rounded(values, 480, 640, 100_000_000_000 + number * 40_000_000), number))
    writer.close()
    media = [{"camera": 0, "kind": "landmarks", "path": "moved/p07.landmarks"}]
    lines = [opening(), recording(2.0), *action(1, "nodding", 1.0, 2.0), summary(10.0), ended()]
    record = read_session(write_session(tmp_path, lines, media=media))
    known = [Event(frozenset({"waving"}), 5.0, 6.0), Event(frozenset({"nodding"}), 5.5, 6.5)]
    known.append(Event(frozenset({"head"}), 8.0, 9.0))  # its action is not known
    first, second = session_examples(record, known)
    assert (first.word, first.labels, first.counted, first.aspect) == ("waving", (9, 19), True, 640 / 480)
    numbers = first.frames[:, 0]
    assert (numbers[0], len(numbers)) == (63, 31)  # 4.5 s is 2.5 s behind the first picture: number 62.5
    assert numbers[-1] == 113  # 6.5 s
    assert second.word == "nodding"
    path.unlink()
    with pytest.raises(BadInput, match="put it back"):
        session_examples(record, known)
    bare = read_session(write_session(tmp_path / "bare", lines))
    with pytest.raises(BadInput, match="a session recorded with --record-landmarks"):
        session_examples(bare, known)


@pytest.mark.slow
@pytest.mark.skipif(not REAL.is_dir(), reason="the real landmark sequences are not on this machine")
def test_the_command_writes_a_better_bundle_or_nothing(tmp_path, capsys):
    path = REAL / "surtecha--SignLangNET.npz"
    out = tmp_path / "mine"
    assert main(["adapt", "landmarks", "--sequences", str(path), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "each left out once: top-1" in said
    if "nothing is written" in said:
        assert not out.exists()
    else:
        card = Bundle.load(out).card
        assert card.name == "landmarks-adapted"
        assert card.provenance.trained_on.endswith("of surtecha--SignLangNET")
    assert main(["adapt", "emotions", "--sequences", str(path), "--out", str(tmp_path / "other")]) == 2
    assert "a model that takes landmarks, got emotions" in capsys.readouterr().err


@pytest.mark.slow
def test_simulated_people_move_otherwise_and_their_sequences_show_what_they_say():
    settings = Settings(split="test", framing="whole body", actions=(9, 14), noise=None)
    plain, small = (simulate(2, 40.0, 15.0, replace(settings, manner=one)) for one in (None, (0.45, 0.1)))
    assert (small.subject.tempo, small.subject.vigour, small.subject.stature) == (0.45, 0.1, plain.subject.stature)
    nods = [one for one in plain.truth if one.index == 9]
    assert nods == [one for one in small.truth if one.index == 9]
    moved = []
    for session in (plain, small):
        frames = [slice(round(one.onset_s * 15), round(one.offset_s * 15)) for one in nods]
        moved.append(np.mean([np.ptp(session.pose[one, 0, 1]) for one in frames]))
    assert moved[1] < 0.6 * moved[0], "a nod of the nose, pixels"
    known = sequences(plain)
    assert [one.word for one in known if one.word == "nodding"] == ["nodding"] * len(nods)
    assert all(one.counted and one.frames.shape[1] == VALUES and 8 <= len(one.frames) <= 45 for one in known)
    assert {label for one in known for label in one.labels} == {9, 14}
