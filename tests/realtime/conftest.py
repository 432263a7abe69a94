"""What several tests of the live path share."""

from pathlib import Path

import pytest

from engines.__main__ import main as engines_command
from realtime.capture.sources import EndOfSource, FileSpec, Image, open_source
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
    """A small untrained emotion model that sees what `landmarks-small` sees."""
    path = tmp_path_factory.mktemp("emotion") / "untrained-emotion"
    code = engines_command(
        [
            "init",
            "--network",
            "maenet",
            "--view",
            "landmarks",
            "--depth",
            "18",
            "--width",
            "8",
            "--size",
            "112",
            "--face-size",
            "64",
            "--face-width",
            "8",
            "--out",
            str(path),
        ]
    )
    assert code == 0
    return path
