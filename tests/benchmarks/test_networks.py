"""Benchmarks take any registered network."""

import pytest

from benchmarks import runtimes
from engines.networks.registry import make_spec
from engines.runtimes import available

pytestmark = pytest.mark.slow


def test_every_runtime_is_measured_with_the_given_network(monkeypatch):
    monkeypatch.setattr(runtimes, "ROUNDS", 1)
    network = make_spec("manet", ["depth=18", "width=8", "size=32", "length=4", "embedding=false"])
    found = runtimes.run(network)
    assert network.title in found.compared
    assert found.details.keys() == {f"{name}_ms" for name, there in available().items() if there}
    assert found.ours == min(found.details.values())
    assert found.other == found.details["torch_ms"]
