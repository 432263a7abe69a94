"""Counts that are read while another thread writes them."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from types import SimpleNamespace

from realtime.counts import Counts
from tests.realtime.conftest import receiver_thread

CAUSES = 3000


def test_every_count_arrives_and_a_missing_cause_is_zero() -> None:
    counts = Counts()
    threads = [threading.Thread(target=lambda: [counts.add(f"{at % 7}") for at in range(7000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == {f"{cause}": 4000 for cause in range(7)}
    assert counts["never"] == 0
    assert "never" not in counts
    counts.add_all({"0": 2, "new": 3})
    assert (counts["0"], counts["new"], len(counts)) == (4002, 3, 8)


def test_a_snapshot_stays_as_it_was() -> None:
    counts = Counts()
    counts.add("gap")
    before, reading = dict(counts), iter(counts)
    counts.add("stale", 2)
    assert before == {"gap": 1}
    assert list(reading) == ["gap"]
    assert counts == {"gap": 1, "stale": 2}


def test_what_a_receiver_dropped_is_read_while_its_thread_counts() -> None:
    """New causes make a plain dictionary grow under its reader, which then fails."""
    intake = receiver_thread(SimpleNamespace(), SimpleNamespace(late=0, thinned=0), SimpleNamespace(), 64)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        writer = threading.Thread(target=lambda: [intake.refused.add(f"{cause}") for cause in range(CAUSES)])
        writer.start()
        seen = 0
        while writer.is_alive():
            dropped = intake.dropped
            assert len(dropped) >= seen
            seen = len(dropped)
        writer.join()
    finally:
        sys.setswitchinterval(interval)
    assert Counter(intake.dropped) == Counter(f"{cause}" for cause in range(CAUSES))
