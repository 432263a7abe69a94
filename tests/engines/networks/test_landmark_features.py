"""Features of landmarks: against numpy, in a mirror, wherever the person is and however large."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engines.landmarks.steps import CHANNELS, POINTS, VALID, VISIBILITY
from engines.networks.landmark_features import CLOSE, LandmarkFeatures, mirror_order, mirrored

STEPS = 6
PLACES, AWAY = 34, 4  # places that a hand may touch; numbers of a hand's way to the head
CONTACTS = 3 * PLACES + 1  # logarithms of tips and palm, nearness of tips, and the two hands' tips
SHAPE = 15 + 5 + 5 + 5 + 42 + 1


@pytest.fixture(scope="module")
def person() -> torch.Tensor:
    """A person-like cloud that moves a little, all points found, (1, STEPS, POINTS, CHANNELS)."""
    rng = np.random.default_rng(0)
    points = np.zeros((1, STEPS, POINTS, CHANNELS), np.float32)
    middle = rng.normal(0.0, 40.0, (POINTS, 3))
    points[0, :, :, :3] = 300.0 + middle + rng.normal(0.0, 3.0, (STEPS, POINTS, 3))
    for point, (x, y) in {
        11: (60, 0),
        12: (-60, 0),
        23: (40, 170),
        24: (-40, 170),
        7: (20, -80),
        8: (-20, -80),
    }.items():
        points[0, :, point, :2] = np.array([300 + x, 300 + y]) + rng.normal(0.0, 1.0, (STEPS, 2))
    points[..., VISIBILITY:] = 1.0
    return torch.from_numpy(points)


def features(landmarks: torch.Tensor) -> np.ndarray:
    with torch.no_grad():
        return LandmarkFeatures()(landmarks).numpy()


def test_size_and_place_do_not_matter(person: torch.Tensor) -> None:
    moved = person.clone()
    moved[..., :3] *= 2.5
    moved[..., :2] += torch.tensor([100.0, -70.0])
    assert features(moved) == pytest.approx(features(person), abs=2e-3)


def test_everything_is_finite_with_nobody_at_all_and_with_parts_missing(person: torch.Tensor) -> None:
    nobody = torch.zeros_like(person)
    assert (features(nobody) == 0.0).all()
    for gone in (slice(33, 54), slice(33, 75), slice(75, None)):
        partly = person.clone()
        partly[:, 2:, gone] = 0.0
        assert np.isfinite(features(partly)).all()
    late = person.clone()
    late[:, :4] = 0.0
    assert (features(late)[:, :4] == 0.0).all()
    assert np.abs(features(late)).max() < 20.0


def test_nothing_outside_the_window_counts(person: torch.Tensor) -> None:
    both = torch.cat([person, person * 0.5], dim=0)
    assert features(both)[0] == pytest.approx(features(person)[0], abs=1e-5)


def test_the_mirror_exchanges_hands(person: torch.Tensor) -> None:
    assert torch.equal(mirrored(mirrored(person)), person)
    order = mirror_order()
    assert [order[at] for at in order] == list(range(POINTS))
    plain, turned = features(person)[0], features(mirrored(person))[0]
    size = CONTACTS + AWAY + SHAPE
    left, right = plain[:, -2 * size : -size], turned[:, -size:]
    assert right[:, :CONTACTS] == pytest.approx(left[:, :CONTACTS], abs=1e-3)
    signs = np.array([-1, 1, -1, 1])  # the way to the head
    assert right[:, CONTACTS : CONTACTS + AWAY] == pytest.approx(left[:, CONTACTS : CONTACTS + AWAY] * signs, abs=1e-3)
    assert right[:, CONTACTS + AWAY : CONTACTS + AWAY + 30] == pytest.approx(
        left[:, CONTACTS + AWAY : CONTACTS + AWAY + 30], abs=1e-3
    )


def test_contacts_are_distances_in_units_of_the_person(person: torch.Tensor) -> None:
    """The nearest finger tip to the nose, by numpy."""
    points = person.numpy()[0]
    across = np.linalg.norm(points[:, 11, :2] - points[:, 12, :2], axis=-1)
    shoulders, hips = points[:, 11:13, :2].mean(1), points[:, 23:25, :2].mean(1)
    unit = np.maximum(across, np.linalg.norm(shoulders - hips, axis=-1) / 1.5).mean()
    tips, nose = points[:, [33 + at for at in (4, 8, 12, 16, 20)], :2], points[:, 75 + 60, :2]
    nearest = np.linalg.norm(tips - nose[:, None], axis=-1).min(1) / unit
    size = CONTACTS + AWAY + SHAPE
    found = features(person)[0][:, -2 * size]
    assert found == pytest.approx(np.log(CLOSE + nearest), abs=1e-3)


def test_invalid_points_are_zero_in_the_mirror(person: torch.Tensor) -> None:
    partly = person.clone()
    partly[:, :, 33:54] = 0.0
    turned = mirrored(partly)
    assert (turned[:, :, 54:75] == 0.0).all()
    assert (turned[:, :, 33:54, VALID] == 1.0).all()
