"""What is to be run where there is a GPU runs to its end without one, and names what it could not do."""

from __future__ import annotations

import importlib.util
import json
import time
from pathlib import Path

import pytest

from engines.bundle import Bundle
from engines.runtimes.nvidia.gpu import NoGpu, find_gpu
from tools import gpu_check

pytestmark = pytest.mark.slow


def without_gpu() -> bool:
    try:
        find_gpu()
    except NoGpu:
        return True
    return False


@pytest.mark.skipif(not without_gpu(), reason="there is a GPU here")
def test_every_part_is_named_with_what_it_lacks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With no time for any of them, and no GPU."""
    out = tmp_path / "found.json"
    assert gpu_check.main(["--out", str(out), "--seconds", "0.5", "--small"]) == 0
    found = json.loads(out.read_text())
    assert found["gpu"].startswith("none: ")
    assert found["failed"] == {}
    assert found["parts"]["environment"]["packages"]["onnxruntime"] != "not installed"
    assert found["missing"]["bundle streaming-int8"] == "not made: no time was left"
    assert found["missing"]["pytest -m gpu"] == "no time was left"
    for package in ("pycuda.driver", "cuda.bindings.runtime"):
        for library in ("tensorrt", "tensorrt-rtx"):
            assert found["missing"][f"{library} with {package}, untrained-small"]
    assert capsys.readouterr().out.count("\n") == len(found["parts"]) + 1


def test_what_was_made_before_the_time_ran_out_is_used(
    streaming_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def job(until: float, most_s: float, *words: str) -> dict[str, str]:
        if words[0] != "bundles":
            return {"state": "done"}
        streaming_bundle.derive(Path(words[1]) / "streaming-fp32")
        return {"state": "failed", "why": "not done within 200 s"}

    monkeypatch.setattr(gpu_check, "_job", job)
    monkeypatch.setattr(gpu_check, "_pytest", lambda _: {"state": "done"})
    parts = gpu_check._all(time.monotonic() + 60.0, True)["parts"]
    assert {"tensorrt plan, streaming-fp32", "tensorrt-rtx plan, streaming-fp32"} <= parts.keys()
    assert "bundle streaming-fp32" not in parts
    assert parts["bundle windows-int8"]["why"] == "not made: not done within 200 s"


@pytest.mark.skipif(importlib.util.find_spec("tensorrt_rtx") is None, reason="tensorrt-rtx is not installed")
def test_a_streaming_network_becomes_a_plan_with_its_states(streaming_bundle: Bundle, tmp_path: Path) -> None:
    bundle = streaming_bundle.derive(tmp_path / "streaming-fp32")
    found = gpu_check._build_plan("tensorrt-rtx", str(bundle.path))
    assert (found["state"], found["batch"]) == ("done", 64)
    spec = bundle.card.network
    assert found["tensors"] == {
        name: ["UINT8" if name == "frames" else "FLOAT", -1, *shape]
        for name, shape in (spec.graph_inputs | spec.graph_outputs).items()
    }


@pytest.mark.skipif(not without_gpu(), reason="there is a GPU here")
def test_what_needs_the_gpu_says_so() -> None:
    found = gpu_check._run_plan("tensorrt-rtx", "cuda.bindings.runtime", "nowhere-fp32")
    assert found["state"] == "missing"
    assert "NVIDIA" in found["why"]
