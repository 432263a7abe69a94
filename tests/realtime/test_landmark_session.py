"""A whole session with a landmark model: its card alone chooses the view; a recording gives the same events again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bundles import untrained_landmarks
from tests.conftest import manet_live

pytestmark = pytest.mark.slow

EVENTFUL = ("--headless", "--engine", "onnxruntime", "--config", Path(__file__).with_name("eventful.toml"))


@pytest.fixture(scope="module")
def landmark_model(trackers: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return untrained_landmarks(tmp_path_factory.mktemp("models") / "landmarks").path


def test_the_same_recording_gives_the_same_bytes(landmark_model: Path, clips: Path) -> None:
    recording = clips / "upper_body_asl_book.mkv"
    first, second = (
        manet_live("replay", recording, "--speed", "max", "--model", landmark_model, *EVENTFUL) for _ in range(2)
    )
    assert (first.code, second.code) == (0, 0), first.err + second.err
    stats = first.of("stats")[-1]
    assert stats["windows"] == stats["windows_due"] > 3
    assert stats["dropped"] == stats["skipped"] == {}
    assert first.action_text == second.action_text
