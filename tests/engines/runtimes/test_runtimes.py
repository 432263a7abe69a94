from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from engines import runtimes
from engines.bundle import Bundle, Reference, find
from engines.common.errors import BadInput
from engines.export.weights import read_network
from engines.patterns import moving_patterns
from engines.runtimes import (
    RUNTIMES,
    Availability,
    ParityMismatch,
    Runtime,
    RuntimeFailed,
    available,
    check_parity,
    open_runtime,
    select,
)
from engines.runtimes.base import Inputs, Outputs

pytestmark = pytest.mark.slow

Copy = Callable[[], Path]
NAMES = sorted(RUNTIMES)


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    found = RUNTIMES[request.param].availability()
    if not found:
        pytest.skip(str(found))
    return str(request.param)


@pytest.mark.parametrize("count", [1, 3])
def test_every_runtime_answers_as_torch_does(small_bundle: Bundle, name: str, count: int) -> None:
    clips = moving_patterns(21, count, 8, 64)
    with torch.inference_mode():
        want = {key: value.numpy() for key, value in read_network(small_bundle)(torch.from_numpy(clips)).items()}
    with open_runtime(small_bundle, name, threads=1) as runtime:
        scores = runtime.infer(clips)
    assert scores.embedding is not None
    for got, wanted in ((scores.logits, want["logits"]), (scores.embedding, want["embedding"])):
        assert got.dtype == np.float32
        assert np.abs(got - wanted).max() <= 1e-3 * np.abs(wanted).max()


def test_scores_outlive_the_next_inference(small_bundle: Bundle, name: str) -> None:
    clips = moving_patterns(22, 2, 8, 64)
    with open_runtime(small_bundle, name) as runtime:
        first = runtime.infer(clips[:1])
        kept = first.logits.copy()
        runtime.infer(clips[1:])
        np.testing.assert_array_equal(first.logits, kept)
        np.testing.assert_array_equal(runtime.infer(clips[:1]).logits, kept)  # the same bytes every time


def test_a_bundle_without_embedding_gives_none(name: str) -> None:
    with open_runtime(Bundle.load(find("untrained-small")), name) as runtime:
        assert runtime.infer(np.zeros((1, 8, 112, 112, 3), np.uint8)).embedding is None


@pytest.mark.parametrize(
    "clips",
    [
        np.zeros((8, 64, 64, 3), np.uint8),
        np.zeros((0, 8, 64, 64, 3), np.uint8),
        np.zeros((1, 4, 64, 64, 3), np.uint8),
        np.zeros((1, 8, 64, 64, 3), np.float32),
        np.zeros((1, 8, 3, 64, 64), np.uint8).transpose(0, 1, 3, 4, 2),
        [[1]],
    ],
)
def test_other_inputs_are_refused_before_the_runtime_sees_them(small_bundle: Bundle, clips: np.ndarray) -> None:
    with open_runtime(small_bundle, "onnxruntime") as runtime, pytest.raises(ValueError, match="expected C-contiguous"):
        runtime.infer(clips)


def test_lifecycle_misuse_is_named(small_bundle: Bundle, name: str) -> None:
    runtime = RUNTIMES[name](small_bundle, 1)
    clips = small_bundle.reference()[0]
    with pytest.raises(RuntimeError, match="needs an active runtime"):
        runtime.infer(clips)
    runtime.close()
    runtime.activate()
    with pytest.raises(RuntimeError, match="activate called twice"):
        runtime.activate()
    runtime.close()
    runtime.close()
    with pytest.raises(RuntimeError, match="needs an active runtime"):
        runtime.infer(clips)
    with runtime:  # a second life
        check_parity(runtime)
    with pytest.raises(BadInput, match="threads"):
        RUNTIMES[name](small_bundle, -1)


class Together(RUNTIMES["onnxruntime"]):  # type: ignore[misc]
    """Takes several clips at once; with `leak`, what stands beside a clip changes its scores by a hair."""

    leak = 0.0

    def _activate(self) -> None:
        super()._activate()
        self.batch = 4

    def _run(self, inputs: Inputs) -> Outputs:
        clips = inputs["clips"]
        alone = [super(Together, self)._run({"clips": clips[at : at + 1]}) for at in range(len(clips))]
        outputs = {name: np.concatenate([one[name] for one in alone]) for name in alone[0]}
        return {name: array + np.float32(self.leak) * (len(clips) - 1) for name, array in outputs.items()}


@pytest.mark.parametrize(("leak", "batch"), [(0.0, 4), (1e-5, 1)])
def test_windows_share_a_batch_only_where_that_changes_no_score(
    small_bundle: Bundle, monkeypatch: pytest.MonkeyPatch, leak: float, batch: int
) -> None:
    monkeypatch.setitem(RUNTIMES, "onnxruntime", Together)
    monkeypatch.setattr(Together, "leak", leak)
    said: list[str] = []
    with open_runtime(small_bundle, "onnxruntime", report=said.append) as runtime:
        assert runtime.batch == batch
    assert ["one by one" in line for line in said] == [True] * (batch == 1)


def test_torch_threads_are_put_back(small_bundle: Bundle) -> None:
    before = torch.get_num_threads()
    with open_runtime(small_bundle, "torch", threads=before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def test_a_file_that_is_no_network_is_one_line(copied: Copy, name: str) -> None:
    path = copied()
    broken = Bundle.load(path).derive(path.parent / "broken", onnx=b"not a network")
    if name == "torch":  # which reads the weights alone
        open_runtime(broken, name).close()
        return
    with pytest.raises((RuntimeFailed, BadInput)) as caught:
        open_runtime(broken, name)
    assert "\n" not in str(caught.value)


def spoilt(bundle: Bundle, folder: Path) -> Bundle:
    """A sealed bundle whose reference is not what its network says."""
    clips, logits = bundle.reference()
    spoilt = Reference.of_clips(clips, logits + np.float32(0.02 * np.abs(logits).max()))
    return bundle.derive(folder / "spoilt", reference=spoilt)


def test_mismatch_is_refused_with_numbers(small_bundle: Bundle, tmp_path: Path, name: str) -> None:
    bundle = spoilt(small_bundle, tmp_path)
    with pytest.raises(ParityMismatch) as caught:
        open_runtime(bundle, name)
    error = caught.value
    scale = np.abs(bundle.reference()[1]).max()
    assert error.runtime == name
    assert error.difference == pytest.approx(0.02 * scale, rel=0.05)
    assert error.allowed == pytest.approx(1e-3 * scale, rel=1e-5)
    assert f"{error.difference:.4g}" in str(error)
    assert "\n" not in str(error)


def test_auto_refuses_when_every_runtime_fails(small_bundle: Bundle, tmp_path: Path) -> None:
    lines: list[str] = []
    with pytest.raises(RuntimeFailed, match="no runtime can run small"):
        open_runtime(spoilt(small_bundle, tmp_path), report=lines.append)
    assert len(lines) == sum(bool(found) for found in available().values())
    assert all("differs from the reference" in line for line in lines)


class Pretended(Runtime):
    """A runtime with a set speed, beside a program that is busy at first, and a set error; answers the reference."""

    modules = ("json",)
    distributions = ("numpy",)
    install = ""
    error, opened = 0.0, 0
    takes_s, disturbed, now_s = 0.01, 0, [0.0]

    def _activate(self) -> None:
        type(self).opened += 1

    def _run(self, inputs: Inputs) -> Outputs:
        self.now_s[0] += self.takes_s + 0.05 * (type(self).disturbed > 0)
        type(self).disturbed -= 1
        count = len(inputs["clips"])
        logits = self.bundle.reference()[1][:count] + np.float32(self.error)
        return {"logits": logits, "embedding": np.zeros((count, 300), np.float32)}

    def _close(self) -> None:
        type(self).opened -= 1


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> dict[str, type[Pretended]]:
    kinds = {each: type(each, (Pretended,), {"name": each, "opened": 0}) for each in ("slow", "fast", "wrong")}
    kinds["wrong"].error = 1e3
    kinds["slow"].takes_s, kinds["wrong"].takes_s = 0.03, 0.001
    monkeypatch.setattr(select, "RUNTIMES", kinds)
    monkeypatch.setattr(select, "time", SimpleNamespace(perf_counter=lambda: Pretended.now_s[0]))
    return kinds


def test_auto_keeps_the_fastest_that_passes_and_remembers_it(
    copied: Copy, pretended: dict[str, type[Pretended]]
) -> None:
    bundle = Bundle.load(copied())
    lines: list[str] = []
    faults: list[str] = []
    runtime = open_runtime(bundle, report=faults.append, details=lines.append)
    assert runtime.name == "fast"
    assert [kind.opened for kind in pretended.values()] == [0, 1, 0]
    assert sorted(line.split()[0] for line in lines) == ["fast", "slow"]
    assert [line.split()[0] for line in faults] == ["wrong:"]
    runtime.close()

    lines.clear()
    assert open_runtime(bundle, details=lines.append).name == "fast"
    assert [line.split(":")[1].strip() for line in lines] == ["chosen earlier as the fastest here"]
    assert Bundle.load(bundle.path) == bundle, "the cache is not part of the bundle"

    open_runtime(bundle, threads=2, details=lines.append)  # another question
    assert len(lines) == 3

    open_runtime(bundle)
    pretended["fast"].error = 1e3  # remembered, and checked all the same
    assert open_runtime(bundle, report=faults.append).name == "slow"
    assert "differs" in faults[1]


def test_auto_is_not_misled_by_what_else_the_machine_does(copied: Copy, pretended: dict[str, type[Pretended]]) -> None:
    bundle = Bundle.load(copied())
    pretended["fast"].disturbed = 7  # most of the time that it is timed for
    assert open_runtime(bundle).name == "fast"
    assert not (bundle.engines_path / "choice.json").exists(), "chosen in a busy moment, for this time only"
    pretended["fast"].disturbed = 3
    assert open_runtime(bundle).name == "fast"
    assert (bundle.engines_path / "choice.json").exists()


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"\xff", b'{"key":"old","runtime":"slow","least_ms":{}}', json.dumps({"key": 3}).encode()]
)
def test_a_stale_or_broken_cache_is_ignored(
    copied: Copy, pretended: dict[str, type[Pretended]], content: bytes
) -> None:
    bundle = Bundle.load(copied())
    bundle.engines_path.mkdir()
    (bundle.engines_path / "choice.json").write_bytes(content)
    assert open_runtime(bundle).name == "fast"


def test_an_unwritable_bundle_is_timed_each_time(copied: Copy, pretended: dict[str, type[Pretended]]) -> None:
    bundle = Bundle.load(copied())
    bundle.engines_path.write_text("a file where the folder should be")
    assert [open_runtime(bundle).name for _ in range(2)] == ["fast", "fast"]


def test_values_that_are_not_finite_are_refused(small_bundle: Bundle, pretended: dict[str, type[Pretended]]) -> None:
    pretended["fast"].error = float("nan")
    with pytest.raises(RuntimeFailed, match="expected finite float32"):
        open_runtime(small_bundle, "fast")
    assert pretended["fast"].opened == 0


def test_unknown_and_uninstalled_runtimes_say_what_to_do(small_bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInput, match=r"openvino, onnxruntime, torch.*'tensorflow'"):
        open_runtime(small_bundle, "tensorflow")
    monkeypatch.setattr(RUNTIMES["torch"], "modules", ("torch", "absent_module"))
    assert available()["torch"] == Availability(None, 'absent_module not installed; pip install "manet-live[train]"')
    with pytest.raises(BadInput, match=r'absent_module not installed; pip install "manet-live\[train\]"'):
        open_runtime(small_bundle, "torch")
    monkeypatch.setattr(RUNTIMES["openvino"], "modules", ("absent_module",))
    with open_runtime(small_bundle) as runtime:
        assert runtime.name == "onnxruntime"


def test_quantised_weights_are_not_for_torch(small_bundle: Bundle, tmp_path: Path) -> None:
    bundle = small_bundle.derive(tmp_path / "int8", precision="int8")
    with pytest.raises(BadInput, match="fp32 bundle"):
        open_runtime(bundle, "torch")


def test_looking_for_runtimes_imports_none_of_them() -> None:
    import subprocess
    import sys

    code = (
        "import sys, engines.runtimes as r; r.available(); "
        "print([m for m in ('torch', 'onnxruntime', 'openvino', 'onnx') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(runtimes.__file__).parents[2]
    )
    assert done.stdout.strip() == "[]"
