"""The window queue: lossless waits, live skips, and every window is accounted for."""

import threading

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from events.types import Stamps
from realtime.analysis.queues import LIVE_CAPACITY, LOSSLESS_CAPACITY, FairTurns, WindowQueue
from realtime.messages import Window

MS = 1_000_000


class FakeClock:
    def __init__(self) -> None:
        self.now = 0

    def now_ns(self) -> int:
        return self.now

    def sleep_until(self, deadline_ns: int) -> None:
        self.now = max(self.now, deadline_ns)


def window(index: int, due_ns: int = 0, camera: int = 0) -> Window:
    return Window(
        camera,
        index,
        0,
        1,
        np.zeros((1, 1, 1, 3), np.uint8),
        np.zeros(1, np.int64),
        np.zeros(1, np.int64),
        0,
        Stamps(due_ns=due_ns),
    )


def taken(queue: WindowQueue) -> list[int]:
    indices = []
    while (item := queue.take()) is not None:
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
    assert queue.take() is None  # even the newest, where no newer one came
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
        elif (item := queue.take()) is not None:
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
    turns = FairTurns(1, lossless=True, staleness_ns=0, clock=FakeClock())
    (queue,) = turns.queues
    done = threading.Event()

    def fill() -> None:
        for index in range(LOSSLESS_CAPACITY + 2):
            queue.put(window(index))
        done.set()

    thread = threading.Thread(target=fill)
    thread.start()
    while not (first := turns.take(1)):
        pass
    assert first[0].index == 0
    assert not done.wait(0.05)  # one place was free, one window still waits for room
    turns.close()
    assert done.wait(5.0)
    thread.join()
    assert queue.skipped["stopped"] == LOSSLESS_CAPACITY + 1
    assert turns.take(1) == []  # at once: nothing will come
    assert turns.exhausted


def test_a_camera_with_many_windows_waiting_never_starves_another():
    turns = FairTurns(3, lossless=False, staleness_ns=500 * MS, clock=FakeClock())
    for index in range(20):
        turns.queues[0].put(window(index, camera=0))
    for index in range(2):
        turns.queues[2].put(window(index, camera=2))
    order = [(one.camera_id, one.index) for _ in range(3) for one in turns.take(2)]
    assert order == [(0, 0), (2, 0), (0, 1), (2, 1), (0, 2), (0, 3)]
    turns.queues[1].put(window(0, camera=1))
    assert turns.take(32)[0].camera_id == 1  # its turn was passed over last
    assert turns.take(16) == []


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 400), st.integers(0, 3)), max_size=150), st.integers(1, 4))
def test_turns_keep_every_camera_s_order_and_budget_and_count(steps, most):
    """Cameras put windows at random while the engine takes some: none out of order, none stale, none uncounted."""
    clock = FakeClock()
    turns = FairTurns(3, lossless=False, staleness_ns=500 * MS, clock=clock)
    put, judged = [0, 0, 0], [[], [], []]
    for camera, wait, takes in steps:
        clock.now += wait * MS
        turns.queues[camera].put(window(put[camera], clock.now, camera))
        put[camera] += 1
        for _ in range(takes):
            taken = turns.take(most)
            assert len(taken) <= most
            for one in taken:
                assert clock.now - one.stamps.due_ns <= 500 * MS
                judged[one.camera_id].append(one.index)
            counts = [sum(one.camera_id == each for one in taken) for each in range(3)]
            left = [turns.queues[each].waiting for each in range(3)]
            # whoever still has windows waiting was not passed over for another's second one
            assert all(max(counts) - counts[each] <= 1 for each in range(3) if left[each])
    turns.close()
    for camera in range(3):
        assert judged[camera] == sorted(set(judged[camera]))
        assert len(judged[camera]) + sum(turns.queues[camera].skipped.values()) == put[camera]
    assert turns.exhausted
