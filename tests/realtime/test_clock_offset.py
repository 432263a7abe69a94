"""The estimate of another machine's clock, against simulated networks whose truth is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.clock_offset import DRIFT, ClockOffset

MS, S = 1_000_000, 1_000_000_000


class Network:
    """Two clocks, and ways between them that hold messages up, each as it likes."""

    def __init__(self, seed: int, offset_ns: int, drift: float = 0.0, least_ms: float = 0.1, queue_ms: float = 2.0):
        self.rng = np.random.default_rng(seed)
        self.offset_ns, self.drift, self.least_ms, self.queue_ms = offset_ns, drift, least_ms, queue_ms
        self.now_ns = 10**12

    def true_offset_ns(self) -> float:
        return self.offset_ns + self.drift * (self.now_ns - 10**12)

    def _other(self) -> int:
        return self.now_ns + round(self.true_offset_ns())

    def _travel(self) -> None:
        self.now_ns += round((self.least_ms + self.rng.exponential(self.queue_ms)) * MS)

    def exchange(self, clock: ClockOffset) -> None:
        sent_ns = self.now_ns
        self._travel()
        received_ns = self._other()
        self.now_ns += 20_000
        replied_ns = self._other()
        self._travel()
        clock.add(sent_ns, received_ns, replied_ns, self.now_ns)


@given(st.integers(0, 1000), st.integers(-(10**15), 10**15), st.floats(-DRIFT, DRIFT))
def test_the_truth_is_within_the_error(seed, offset_ns, drift):
    network, clock = Network(seed, offset_ns, drift), ClockOffset()
    for _ in range(40):
        network.exchange(clock)
        network.now_ns += S // 2
        reading = clock.reading(network.now_ns)
        assert abs(reading.offset_ns - network.true_offset_ns()) <= reading.error_ns + 1


def test_what_is_held_up_is_passed_over():
    errors, means = [], []
    for seed in range(50):
        network, clock, seen = Network(seed, 3 * S), ClockOffset(), []
        for _ in range(16):
            network.exchange(clock)
            seen.append(clock._exchanges[-1].offset_ns)
            network.now_ns += 50 * MS
        errors.append(abs(clock.reading(network.now_ns).offset_ns - 3 * S))
        means.append(abs(np.mean(seen) - 3 * S))
    assert np.median(errors) < np.median(means)
    assert np.percentile(errors, 90) < 0.6 * MS


def test_corrected_times_never_run_backwards_and_follow_a_drift():
    network, clock = Network(1, -5 * S, drift=DRIFT, queue_ms=5.0), ClockOffset()
    network.exchange(clock)
    last = 0
    for frame in range(20_000):  # eleven minutes at 30 frames/s: the clocks part by 33 ms
        if frame % 30 == 0:
            network.exchange(clock)
        network.now_ns += 33 * MS
        corrected = clock.to_other(network.now_ns, network.now_ns)
        assert corrected > last
        last = corrected
    assert abs(corrected - network._other()) < 5 * MS


def test_a_machine_that_slept_is_followed_at_once():
    network, clock = Network(2, 0), ClockOffset()
    network.exchange(clock)
    clock.to_other(network.now_ns, network.now_ns)
    network.exchange(clock)
    for offset_ns in (3600 * S, -40 * S, -40 * S - 300 * MS):  # ours, the other, the other for a moment
        network.offset_ns = offset_ns
        network.now_ns += S
        network.exchange(clock)
        reading = clock.reading(network.now_ns)
        assert abs(reading.offset_ns - offset_ns) <= reading.error_ns < 20 * MS
        assert abs(clock.to_other(network.now_ns, network.now_ns) - network._other()) <= reading.error_ns


def test_an_exchange_that_was_held_up_takes_nothing_away():
    network, clock = Network(3, 0, queue_ms=0.01), ClockOffset()
    network.exchange(clock)
    before = clock.reading(network.now_ns)
    clock.add(network.now_ns, network.now_ns + 2 * S, network.now_ns + 2 * S, network.now_ns + 4 * S)
    clock.add(network.now_ns, network.now_ns + 3 * S, network.now_ns + 3 * S, network.now_ns + 4 * S)
    assert clock.reading(network.now_ns) == before


def test_nothing_is_corrected_before_the_first_exchange():
    assert ClockOffset().reading(5) is None
    with pytest.raises(ValueError, match="expected an exchange first"):
        ClockOffset().to_other(5, 5)
