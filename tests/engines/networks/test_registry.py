"""Networks by name, their specs without torch."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest
import torch

from engines.common.errors import BadInput
from engines.networks.registry import build, change_spec, make_spec, names, read_spec, register
from engines.specs.manet import MANetSpec
from engines.specs.video import TSNSpec
from tests.conftest import ROOT


def test_the_live_path_knows_every_network_without_torch() -> None:
    code = "import sys, engines.bundle as b; b.Bundle.load(b.find('emotions')); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize("name", names())
def test_every_name_is_a_spec_and_a_network(name: str) -> None:
    spec = make_spec(name)
    assert read_spec(msgspec.to_builtins(spec)) == spec
    assert spec.sampling.frames == next(iter(spec.inputs.values()))[0]
    assert next(iter(spec.outputs)) in {"actions": ("logits", "actions"), "emotion": ("emotion",)}[spec.task]
    with torch.device("meta"):
        network = build(spec)
    assert network.spec == spec
    assert network.heads().keys() <= spec.outputs.keys()
    assert set(network.keep_fp32()) <= {module for module, _ in network.named_modules()}


def test_fields_are_set_by_name_and_within_parts() -> None:
    assert make_spec("manet", ["depth=18", "embedding=false"]) == MANetSpec(depth=18, embedding=False)
    spec = make_spec("maenet", ["face=null", "body.width=8"])
    assert list(spec.inputs) == ["body", "body_seen"]
    assert change_spec(spec, ["body.size=64"]).picture_size == 64
    for wrong in ("depth=20", "deepth=18", "body.depth=18", "depth"):
        with pytest.raises(BadInput, match="depth=50, width=64"):
            make_spec("manet", [wrong])
    with pytest.raises(BadInput, match="a network of manet, "):
        make_spec("resnet")


def test_a_name_belongs_to_one_spec() -> None:
    for name, spec in (("manet", TSNSpec), ("other", TSNSpec)):
        with pytest.raises(ValueError, match="expected a spec of its own with this tag"):
            register(name, spec)
