"""Expression numbers as bytes, and the gap between the lips."""

import numpy as np
import pytest

from engines.expressions import LOGITS, NUMBERS, STEPS, ZERO, encode
from engines.landmarks.lips import lip_gap, lip_gap_of
from engines.landmarks.points import FACE_MESH_INDICES


def test_bytes_hold_a_number_to_a_sixteenth_and_end_where_they_end():
    numbers = np.random.default_rng(0).uniform(-15.0, 15.0, (4, NUMBERS)).astype(np.float32)
    assert (encode(numbers) / STEPS - ZERO / STEPS) == pytest.approx(numbers, abs=1 / 16)
    assert encode(np.array([-99.0, 99.0, np.nan], np.float32)).tolist() == [0, 255, ZERO]
    assert NUMBERS == LOGITS + 1


def test_the_lips_gap_is_in_tenths_of_the_eyes_distance_whatever_the_size():
    mesh = np.zeros((2, 468, 3), np.float32)
    mesh[:, 263] = 80.0, 60.0, 0.0  # the eyes are 100 apart
    mesh[:, 14, 1] = 12.0
    mesh[1] *= 3.0
    assert lip_gap(mesh) == pytest.approx([1.2, 1.2])
    assert lip_gap_of(mesh[:, list(FACE_MESH_INDICES)]) == pytest.approx([1.2, 1.2])
    assert np.isnan(lip_gap_of(np.full((1, len(FACE_MESH_INDICES), 3), np.nan, np.float32))).all()
