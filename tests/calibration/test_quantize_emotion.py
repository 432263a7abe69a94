"""Emotion models in INT8: several inputs and outputs, an encoder behind the convolutions, frames that nobody saw."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest

from calibration.__main__ import main
from calibration.quantize import judge
from calibration.windows import Windows, simulated_windows
from engines.__main__ import main as engines_command
from engines.bundle import Bundle, find
from engines.runtimes import RUNTIMES, check_parity, open_runtime
from engines.runtimes.base import Outputs
from engines.taxonomy import EMOTIONS

pytestmark = pytest.mark.slow

CPU_RUNTIMES = [
    name for name, kind in RUNTIMES.items() if kind.availability() and not kind.may_be_lost and name != "torch"
]


@pytest.fixture(scope="module")
def full() -> Bundle:
    return Bundle.load(find("emotions"))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, list[str]]:
    """The default emotion model in INT8, and what the command printed. Of so few windows, one is 6 %."""
    out = tmp_path_factory.mktemp("models") / "int8"
    command = ["quantize", "emotions", "--simulated", "--windows", "32", "--lose", "0.2", "--out", str(out)]
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed):
        patch.setattr("calibration.quantize.PROBES", 1)
        code = main(command)
    assert code == 0
    return Bundle.load(out), printed.getvalue().splitlines()


@pytest.fixture(scope="module")
def windows(full: Bundle) -> Windows:
    return simulated_windows(full.card, "test", 16, 900)


def test_windows_are_stretches_of_interviews_with_feelings(full: Bundle, windows: Windows) -> None:
    assert {name: array.shape for name, array in windows.inputs.items()} == {
        name: (16, *shape) for name, shape in full.card.network.inputs.items()
    }
    assert windows.labels is not None
    assert windows.labels.shape == (16, len(EMOTIONS))
    assert 0.0 < windows.labels.sum(axis=1).mean() < 1.0 + 1e-6  # the rest of the time nothing is felt
    assert (windows.labels.max(axis=0) > 0).sum() > 1
    part = windows.part(3, 5)
    assert len(part) == len(list(part.singles())) == 2
    assert part.simulated
    wanted = windows.inputs["landmarks"][3:]
    assert all(np.array_equal(one["landmarks"][0], wanted[at]) for at, one in enumerate(part.singles()))


@pytest.mark.long
def test_both_branches_are_quantised_and_the_encoder_is_left_alone(written: tuple[Bundle, list[str]]) -> None:
    made, printed = written
    layers = [line.split()[0] for line in printed[1:-1]]
    assert len(layers) == len(set(layers)) == 6 * 5 + 1 + 3  # of each block four convolutions and the sum; the stem
    assert {name.partition(".")[0] for name in layers} == {"body", "expressions"}
    assert printed[-1].startswith(f"{made.path}: INT8 of emotions, ")
    for said in ("dominant emotion agrees on", "in which it says that one dominates", "accuracy", "actions move by"):
        assert said in printed[-1]
    assert "UNTRAINED" not in printed[-1]
    graph = onnx.load(str(made.onnx_path)).graph
    readers = [node for node in graph.node if any(name.endswith(".int8") for name in node.input)]
    assert {"Conv", "Add"} <= {node.op_type for node in readers}
    assert not {node.op_type for node in readers} & {"MatMul", "Gemm", "Softmax", "LayerNormalization"}
    makers = {node.output[0]: node for node in graph.node}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    kept = sum("left in fp32" in line for line in printed[1:-1])
    rounded = sum(
        node.input[1] in makers and makers[node.input[1]].op_type == "DequantizeLinear" for node in convolutions
    )
    assert len(convolutions) == 6 * 4 + 1 + 2
    assert rounded >= len(convolutions) - kept


@pytest.mark.long
def test_the_reference_is_of_stretches_that_it_was_ranged_on(full: Bundle, written: tuple[Bundle, list[str]]) -> None:
    made = written[0]
    reference = made.reference_arrays()
    assert (made.card.precision, made.card.calibration, made.card.provenance) == (
        "int8",
        full.card.calibration,
        full.card.provenance,
    )
    first = simulated_windows(full.card, "validation", 1, 0)
    for name, array in reference.inputs.items():
        assert np.array_equal(array[0], first.inputs[name][0])
    with open_runtime(full, "onnxruntime") as runtime:
        answers = runtime.run(reference.inputs)
    for name, values in reference.outputs.items():
        np.testing.assert_allclose(values, answers[name], rtol=1e-3, atol=1e-3)


def run(bundle: Bundle, name: str, windows: Windows) -> Outputs:
    with open_runtime(bundle, name) as runtime:
        assert check_parity(runtime) >= 0.0
        return runtime.run(windows.inputs)


@pytest.mark.long
def test_every_runtime_says_what_fp32_says(full: Bundle, written: tuple[Bundle, list[str]], windows: Windows) -> None:
    before = run(full, "onnxruntime", windows)
    assert len(CPU_RUNTIMES) > 0
    for name in CPU_RUNTIMES:
        found = judge(full, before, run(written[0], name, windows), windows.labels)
        assert found.decided_agreement >= 0.8, name
        assert found.change < 0.02, name
        assert found.others.keys() == {"actions"}
        assert found.others["actions"] < 0.05, name
        assert found.accuracy is not None
        assert abs(found.accuracy[1] - found.accuracy[0]) <= 0.2, name


@pytest.mark.long
def test_a_plan_is_built_ahead_of_time(
    written: tuple[Bundle, list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("tensorrt_rtx")
    from engines.runtimes.nvidia import command
    from engines.runtimes.nvidia.gpu import NoGpu

    def no_gpu() -> None:
        raise NoGpu("none")

    monkeypatch.setattr(command, "find_gpu", no_gpu)
    bundle = written[0].derive(tmp_path / "int8")
    code = engines_command(["build", str(bundle.path), "--runtime", "tensorrt-rtx", "--precision", "int8"])
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    assert "int8" in out
    assert (bundle.engines_path / "tensorrt-rtx.plan").stat().st_size > 100_000


def test_only_clear_answers_and_clear_truths_count(full: Bundle) -> None:
    before = np.zeros((4, 5), np.float32)
    before[0, 0], before[1, 1], before[2, 2] = 5.0, 5.0, 5.0
    before[3, 3] = 0.1  # flat: nothing is felt
    after = before.copy()
    after[1, 4], after[3, 4] = 6.0, 0.2
    labels = np.array([[1, 0, 0, 0, 0], [0, 0.9, 0, 0, 0], [0.3, 0, 0.3, 0, 0], [0, 0, 0, 0, 0]], np.float32)
    actions = np.ones((4, 52), np.float32)
    found = judge(full, {"emotion": before, "actions": actions}, {"emotion": after, "actions": 1.1 * actions}, labels)
    assert (found.agreement, found.decided, found.decided_agreement) == (0.5, 3, pytest.approx(2 / 3))
    assert found.accuracy == (1.0, 0.5)
    assert found.others == {"actions": pytest.approx(0.1, rel=1e-4)}
    assert found.lost == pytest.approx(0.5)


@pytest.fixture(scope="module")
def rgb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Untrained, of pictures of body and face."""
    out = tmp_path_factory.mktemp("models") / "rgb"
    fields = [f"--set={part}.{name}" for part in ("body", "face") for name in ("depth=18", "width=8", "size=32")]
    assert engines_command(["init", "--network", "maenet", "--view", "rgb", *fields, "--out", str(out)]) == 0
    return out


@pytest.mark.parametrize(
    ("model", "arguments", "complaint"),
    [
        ("shipped", ["--simulated", "--windows", "31"], "expected 32 calibration windows or more, got 31"),
        ("shipped", ["--simulated", "--labels", "list.txt"], "--labels with --clips, got --labels with --simulated"),
        (
            "shipped",
            ["--clips", "film.mp4"],
            "a model that sees RGB for --clips, got emotions, which sees landmarks",
        ),
        (
            "rgb",
            ["--clips", "film.mp4"],
            "an emotion model of the landmark view, got rgb, which sees rgb; keep it in fp32",
        ),
        ("rgb", ["--simulated"], "an emotion model of the landmark view, got rgb, which sees rgb; keep it in fp32"),
        ("shipped", ["--simulated", "--lose", "1"], "--lose of 0 to below 1, got 1"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    model: str, arguments: list[str], complaint: str, rgb: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "int8"
    capsys.readouterr()
    name = "emotions" if model == "shipped" else str(rgb)
    assert main(["quantize", name, "--out", str(out), *arguments]) == 2
    said, error = capsys.readouterr()
    assert (said, error.count("\n")) == ("", 1)
    assert complaint in error
    assert not out.exists()


@pytest.mark.long
def test_a_model_that_is_never_sure_is_refused(
    full: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """There is nothing that its INT8 could agree on."""
    flat = full.derive(
        tmp_path / "flat", name="flat", calibration=msgspec.structs.replace(full.card.calibration, temperature=100.0)
    )
    assert main(["quantize", str(flat.path), "--simulated", "--windows", "32", "--out", str(tmp_path / "int8")]) == 2
    error = capsys.readouterr().err
    assert "a model that is sure of something (0.5) in some windows, got flat, in none of 16" in error
    assert error.count("\n") == 1
