"""The window queue: lossless waits, live skips, and every window is accounted for."""

import threading

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from events.types import Stamps
from realtime.inference import LIVE_CAPACITY, LOSSLESS_CAPACITY, WindowQueue
from realtime.messages import Window

MS = 1_000_000


class FakeClock:
    def __init__(self) -> None:
        self.now = 0

    def now_ns(self) -> int:
        return self.now

    def sleep_until(self, deadline_ns: int) -> None:
        self.now = max(self.now, deadline_ns)


def window(index: int, due_ns: int = 0) -> Window:
    return Window(0, index, 0, 0, 1, np.zeros((1, 1, 1, 3), np.uint8), np.zeros(1, np.int64), np.zeros(1, np.int64), 0,
                  Stamps(due_ns=due_ns))


def taken(queue: WindowQueue) -> list[int]:
    indices = []
    while (item := queue.take(0)) is not None:
        indices.append(item.index)
    return indices


def test_fresh_windows_are_taken_in_order():
    queue = WindowQueue(lossless=False, staleness_ns=500 * MS, clock=FakeClock())
    for index in range(3):
        queue.put(window(index))
    assert taken(queue) == [0, 1, 2]
    assert not queue.skipped


def test_once_one_is_stale_only_the_newest_is_taken():
    clock = FakeClock()
    queue = WindowQueue(lossless=False, staleness_ns=500 * MS, clock=clock)
    for index in range(4):
        queue.put(window(index, due_ns=clock.now))
        clock.now += 250 * MS
    assert taken(queue) == [3]
    assert queue.skipped == {"stale": 3}
    queue.put(window(4, due_ns=clock.now))
    clock.now += 501 * MS
    assert queue.take(0) is None  # even the newest, where no newer one came
    assert queue.skipped == {"stale": 4}


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 800)), max_size=200), st.integers(0, 600))
def test_live_staleness_is_bounded_and_nothing_is_lost_uncounted(steps, budget):
    clock = FakeClock()
    queue = WindowQueue(lossless=False, staleness_ns=budget * MS, clock=clock)
    put, processed = 0, []
    for is_put, wait in steps:
        clock.now += wait * MS
        if is_put:
            queue.put(window(put, due_ns=clock.now))
            put += 1
        elif (item := queue.take(0)) is not None:
            processed.append(item.index)
            assert clock.now - item.stamps.due_ns <= budget * MS
    queue.close(discard=True)
    assert processed == sorted(set(processed))
    assert len(processed) + sum(queue.skipped.values()) == put
    assert queue.exhausted


def test_a_stuck_engine_cannot_fill_the_memory():
    queue = WindowQueue(lossless=False, staleness_ns=500 * MS, clock=FakeClock())
    for index in range(10 * LIVE_CAPACITY):
        queue.put(window(index))
    assert len(taken(queue)) == LIVE_CAPACITY
    assert queue.skipped["stale"] == 9 * LIVE_CAPACITY


def test_lossless_put_waits_for_room_and_close_lets_it_go():
    queue = WindowQueue(lossless=True, staleness_ns=0, clock=FakeClock())
    done = threading.Event()

    def fill() -> None:
        for index in range(LOSSLESS_CAPACITY + 2):
            queue.put(window(index))
        done.set()

    thread = threading.Thread(target=fill)
    thread.start()
    first = queue.take(5.0)
    assert first is not None
    assert first.index == 0
    assert not done.wait(0.05)  # one place was free, one window still waits for room
    queue.close(discard=True)
    assert done.wait(5.0)
    thread.join()
    assert queue.skipped["stopped"] == LOSSLESS_CAPACITY + 1
    assert queue.take(5.0) is None  # at once: nothing will come
