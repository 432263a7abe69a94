"""What several tests of the live path share."""

from pathlib import Path

import pytest

from realtime.capture.sources import EndOfSource, FileSpec, Image, open_source
from tests.bundles import untrained_emotion
from tests.conftest import CLIPS


def read(name: str) -> list[Image]:
    """The pictures of a real clip; without it the test is skipped."""
    path = CLIPS / name
    if not path.exists():
        pytest.skip("the shared clips are not here")
    images = []
    with open_source(FileSpec(str(path))) as source:
        while True:
            try:
                got = source.read(5.0)
            except EndOfSource:
                return images
            assert got is not None
            images.append(got)


@pytest.fixture(scope="session")
def emotion_bundle(tmp_path_factory) -> Path:
    """An emotion model that sees what `landmarks-small` sees, and says that it is untrained."""
    return untrained_emotion(tmp_path_factory.mktemp("emotion") / "untrained-emotion").path
