"""How often a capture process is started again, and after how long."""

from __future__ import annotations

import pytest

from realtime.capture.supervisor import Restarts, RestartsExhausted
from realtime.config import SupervisionSettings

S = 1_000_000_000


def test_each_wait_is_twice_the_last_up_to_the_longest() -> None:
    restarts = Restarts(SupervisionSettings(max_restarts=6, backoff_max_s=5.0))
    waits = [restarts.wait_ns(index * S, brought_frames=True) / S for index in range(6)]
    assert waits == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
    with pytest.raises(RestartsExhausted, match=r"^restarted 6 times in the last 600 s$"):
        restarts.wait_ns(7 * S, brought_frames=True)


def test_restarts_of_long_ago_do_not_count() -> None:
    restarts = Restarts(SupervisionSettings(max_restarts=2, restart_window_s=100.0))
    for hour in range(20):
        assert restarts.wait_ns(hour * 3600 * S, brought_frames=True) == S // 2
    assert restarts.wait_ns(19 * 3600 * S + 100 * S, brought_frames=True) == S
    assert restarts.count == 2
    with pytest.raises(RestartsExhausted):
        restarts.wait_ns(19 * 3600 * S + 100 * S, brought_frames=True)
    assert restarts.wait_ns(19 * 3600 * S + 101 * S, brought_frames=True) == S


def test_two_starts_in_a_row_without_a_frame_are_enough() -> None:
    restarts = Restarts(SupervisionSettings(max_restarts=100, restart_window_s=10.0))
    restarts.wait_ns(0, brought_frames=False)
    restarts.wait_ns(1000 * S, brought_frames=True)
    restarts.wait_ns(2000 * S, brought_frames=False)
    with pytest.raises(RestartsExhausted, match=r"^no frame in 2 starts$"):
        restarts.wait_ns(3000 * S, brought_frames=False)


def test_none_at_all() -> None:
    with pytest.raises(RestartsExhausted, match="restarted 0 times"):
        Restarts(SupervisionSettings(max_restarts=0)).wait_ns(0, brought_frames=True)
