from __future__ import annotations

import numpy as np
import pytest
import torch

from engines.networks.initialise import LOGIT_STD, SCENES, TAKES, initialise
from engines.patterns import moving_patterns
from tests.engines.conftest import SMALL

pytestmark = pytest.mark.slow


def logits(seed: int, clips: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return initialise(SMALL, seed)(torch.from_numpy(clips))["logits"].numpy()


def test_same_seed_same_weights_and_no_trace_on_the_global_generator() -> None:
    torch.manual_seed(1)
    first = initialise(SMALL, 4).state_dict()
    drawn = torch.rand(1)
    torch.manual_seed(2)
    second, other = initialise(SMALL, 4).state_dict(), initialise(SMALL, 5).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["classifier.weight"], other["classifier.weight"])
    torch.manual_seed(1)
    assert torch.equal(drawn, torch.rand(1))


def test_logits_have_the_promised_spread_on_the_patterns_they_were_measured_on() -> None:
    own = logits(0, moving_patterns(0, SCENES * TAKES, 8, 64, TAKES))
    assert own.std(axis=0) == pytest.approx(LOGIT_STD, rel=0.05)
    assert np.abs(own.mean(axis=0)).max() < 0.1


def test_new_patterns_reach_many_classes_and_motion_alone_changes_scores() -> None:
    takes = 6
    new = logits(0, moving_patterns(77, 48, 8, 64, takes))
    assert 1.0 < new.std(axis=0).mean() < 6.0
    assert len(set(new.argmax(axis=1))) >= 10
    assert new.reshape(-1, takes, 52).std(axis=1).mean() > 0.5


def test_patterns_are_seeded_smooth_and_moving() -> None:
    clips = moving_patterns(3, 4, 8, 64)
    assert (clips.shape, clips.dtype) == ((4, 8, 64, 64, 3), np.dtype(np.uint8))
    np.testing.assert_array_equal(clips[:2], moving_patterns(3, 2, 8, 64))
    assert not np.array_equal(clips[0], clips[1])
    assert not np.array_equal(moving_patterns(4, 1, 8, 64), clips[:1])
    changes = np.abs(np.diff(clips.astype(int), axis=1)).mean(axis=(1, 2, 3, 4))
    assert (changes > 0).all()
