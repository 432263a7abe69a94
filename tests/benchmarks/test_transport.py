"""Every link that is measured carries every picture, in both sizes."""

import pytest

from benchmarks import transport

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", list(transport.LINKS))
def test_a_link_carries_pictures(name):
    pytest.importorskip("vidgear" if "NetGear" in name else "imagezmq")
    assert transport.frames_per_s([name], 5, full=True, rounds=1)[name] > 0
    if name not in ("shared memory", "raw pyzmq"):
        assert transport.frames_per_s([name], 5, full=True, crop=True, rounds=1)[name] > 0
