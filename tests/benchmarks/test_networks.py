"""Benchmarks take any registered network."""

import pytest

from benchmarks import networks, runtimes
from engines.networks.registry import make_spec
from engines.runtimes import available

pytestmark = pytest.mark.slow


SMALL = make_spec("manet", ["depth=18", "width=8", "size=32", "length=4", "embedding=false"])


def test_every_runtime_is_measured_with_the_given_network():
    network = SMALL
    found = runtimes.run(network, rounds=1)
    assert network.title in found.compared
    assert found.details.keys() == {f"{name}_ms" for name, there in available().items() if there}
    assert found.ours == min(found.details.values())
    assert found.other == found.details["torch_ms"]


def test_of_all_networks_the_one_that_gains_least_counts(monkeypatch):
    monkeypatch.setattr(networks, "names", lambda task: ("one", "two"))
    monkeypatch.setattr(networks, "make_spec", lambda name: SMALL)
    monkeypatch.setattr(networks, "ROUNDS", 1)
    found = networks.run()
    ratios = [found.details[f"{name}_ratio"] for name in ("one", "two")]
    assert found.ratio == min(ratios) == found.other / found.ours
    assert found.compared.startswith("of 2 networks")
    full = min(found.details[f"one_{name}_ms"] for name, there in available().items() if there)
    assert found.details["one_int8_gain"] == full / found.details["one_openvino_int8_ms"]
