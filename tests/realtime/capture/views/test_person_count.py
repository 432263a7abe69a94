"""People are told apart before landmarks are asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from realtime.capture.views.person_count import PersonCounter
from tests.realtime.conftest import read

pytestmark = pytest.mark.slow

CLIPS = "seated_B2_shaking_head.mp4", "upper_body_asl_book.mkv"


@pytest.mark.parametrize("clip", CLIPS)
def test_one_two_and_none_are_told_apart(clip: str, trackers: list[Path]) -> None:
    counter = PersonCounter(trackers[0])
    for image in read(clip)[:30:10]:
        assert counter.count(image.pixels) == 1
        assert counter.count(np.concatenate([image.pixels[:, ::-1], image.pixels], axis=1)) == 2
        assert counter.count(np.full_like(image.pixels, 127)) == 0
