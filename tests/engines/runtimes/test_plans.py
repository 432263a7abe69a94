"""Real TensorRT-RTX plans, built ahead of time on the CPU, and the cache that keeps them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import onnx
import pytest

from calibration.qdq import Graph
from calibration.ranges import measure_ranges
from engines.__main__ import main
from engines.bundle import Bundle, find, model_folders
from engines.common.digest import digest_file
from engines.export.onnx_export import half_bundle
from engines.runtimes import RuntimeFailed
from engines.runtimes.nvidia import command
from engines.runtimes.nvidia.builder import build, precision_of
from engines.runtimes.nvidia.gpu import Gpu, NoGpu
from engines.runtimes.nvidia.library import TENSORRT, TENSORRT_RTX, Library
from engines.runtimes.nvidia.plans import PlanMismatch, make_plan, plan_path, read_plan

pytestmark = pytest.mark.slow

trt = pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed: pip install 'manet-live[rtx]'")

CARDS = [Bundle.load(path.parent).card for path in sorted(model_folders()[0].glob("*/card.json"))]
SHIPPED = [card.name for card in CARDS if card.network.input_dtype == "uint8"]  # landmarks are for processors
KINDS = (
    "small",
    *(pytest.param(name, marks=pytest.mark.long) for name in SHIPPED),
    pytest.param("manet-50", marks=pytest.mark.large),
)
PRECISIONS = ("fp32", "fp16", "int8")
Make = Callable[[str, str], Bundle]


def quantised(bundle: Bundle, path: Path) -> Bundle:
    """INT8 throughout, ranged on the bundle's own reference inputs."""
    graph = Graph(bundle.onnx_path.read_bytes())
    ranges = measure_ranges(graph.observed(), graph.activations, bundle.reference_arrays().inputs, "minmax")
    return bundle.derive(path, onnx=graph.quantised(ranges), name="int8", precision="int8")


@pytest.fixture(scope="module")
def make(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """A bundle by kind and precision; each is made once."""
    folder = tmp_path_factory.mktemp("plans")
    made: dict[tuple[str, str], Bundle] = {}

    def of(kind: str, precision: str) -> Bundle:
        path = folder / f"{kind}-{precision}"
        if (kind, precision) in made:
            return made[kind, precision]
        if precision != "fp32":
            source = of(kind, "fp32")
            bundle = half_bundle(source, path, "fp16") if precision == "fp16" else quantised(source, path)
        elif kind in SHIPPED:
            bundle = Bundle.load(find(kind)).derive(path)
        else:
            source = request.getfixturevalue("small_bundle" if kind == "small" else "official_bundle")
            bundle = source.derive(path, name=kind)
        made[kind, precision] = bundle
        return bundle

    return of


def side_file(bundle: Bundle) -> Path:
    return plan_path(bundle, TENSORRT_RTX).with_suffix(".json")


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_bundle_and_precision_becomes_a_plan(
    make: Make, kind: str, precision: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = make(kind, precision)
    capsys.readouterr()
    code = main(["build", str(bundle.path), "--runtime", "tensorrt-rtx", "--precision", precision, "--batch", "4"])
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    assert out.count("\n") == 1
    assert f"{precision}, 1 to 4 windows" in out
    side = json.loads(side_file(bundle).read_text())
    plan = plan_path(bundle, TENSORRT_RTX)
    assert side["onnx_sha256"] == bundle.card.files["model.onnx"]
    assert side["plan_sha256"] == digest_file(plan)
    assert (side["runtime"], side["runtime_version"]) == ("tensorrt-rtx", trt.__version__)
    assert (side["precision"], side["batch"]) == (precision, 4)
    assert side["build_s"] > 0
    tensors = {tensor["name"]: (tensor["dtype"], tensor["shape"]) for tensor in side["tensors"]}
    network = bundle.card.network
    wanted = (("UINT8", network.inputs), ("FLOAT", network.outputs))
    assert tensors == {name: (of, [-1, *shape]) for of, shapes in wanted for name, shape in shapes.items()}
    if kind == "manet-50" and precision != "fp32":  # 127 MB of weights in fp32, which int8 leaves in the gates
        assert plan.stat().st_size < 0.6 * make(kind, "fp32").onnx_path.stat().st_size


@pytest.mark.parametrize("precision", PRECISIONS)
def test_types_inside_the_network_are_those_of_the_file(make: Make, precision: str) -> None:
    logger = trt.Logger(trt.Logger.ERROR)
    network = trt.Builder(logger).create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    assert parser.parse(make("small", precision).onnx_path.read_bytes())
    assert precision_of(trt, network) == precision
    layers = [network.get_layer(index) for index in range(network.num_layers)]
    convolutions = [layer for layer in layers if layer.type == trt.LayerType.CONVOLUTION]
    assert len(convolutions) == 20
    half = trt.DataType.HALF if precision == "fp16" else trt.DataType.FLOAT
    assert {layer.get_output(0).dtype for layer in convolutions} == {half}
    quantising = sum(layer.type == trt.LayerType.QUANTIZE for layer in layers)
    assert quantising >= 20 if precision == "int8" else quantising == 0
    assert [network.get_output(index).dtype for index in range(2)] == [trt.DataType.FLOAT] * 2


@pytest.fixture
def built(make: Make, tmp_path: Path) -> Bundle:
    """A copy of the small bundle with its plan."""
    bundle = make("small", "fp32").derive(tmp_path / "built", name="built")
    assert main(["build", str(bundle.path), "--runtime", "tensorrt-rtx"]) == 0
    return bundle


read = partial(read_plan, library=TENSORRT_RTX, gpu=None)


def test_a_plan_that_fits_is_not_built_again(built: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    before = plan_path(built, TENSORRT_RTX).stat().st_mtime_ns
    capsys.readouterr()
    assert main(["build", str(built.path), "--runtime", "tensorrt-rtx"]) == 0
    assert "still fits" in capsys.readouterr().out
    assert plan_path(built, TENSORRT_RTX).stat().st_mtime_ns == before
    assert read(built).record.batch == 1


def test_one_changed_byte_of_the_onnx_file_refuses_the_plan(
    built: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = built.onnx_path.read_bytes()
    changed = data.replace(b"pytorch", b"pytorcH", 1)
    assert sum(a != b for a, b in zip(data, changed, strict=True)) == 1
    other = built.derive(tmp_path / "other", onnx=changed)
    shutil.copytree(built.engines_path, other.engines_path)
    with pytest.raises(PlanMismatch, match=r"a plan for the ONNX file \w{12}…, got one for \w{12}…"):
        read(other)
    capsys.readouterr()
    assert main(["build", str(other.path), "--runtime", "tensorrt-rtx"]) == 0
    out, err = capsys.readouterr()
    assert "built in" in out
    assert err.startswith("manet-live: expected a plan for the ONNX file ")
    assert err.endswith("; building again\n")
    assert read(other).record.onnx_sha256 == other.card.files["model.onnx"]


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("runtime", "tensorrt", "the runtime tensorrt-rtx, got one for tensorrt"),
        ("runtime_version", "1.0.0", "tensorrt-rtx .*, got one for 1.0.0"),
        ("device", "NVIDIA Other (compute capability 8.6)", "the GPU any GPU since .*, got one for NVIDIA Other"),
        ("driver", "CUDA 12.4", "the driver any, got one for CUDA 12.4"),
        ("precision", "fp16", "the precision fp32, got one for fp16"),
        ("plan_sha256", "0" * 64, "the plan's own bytes 000000000000…"),
    ],
)
def test_whatever_changed_is_named(built: Bundle, field: str, value: str, complaint: str) -> None:
    side = json.loads(side_file(built).read_text())
    side_file(built).write_text(json.dumps(side | {field: value}))
    with pytest.raises(PlanMismatch, match=complaint):
        read(built)
    assert main(["build", str(built.path), "--runtime", "tensorrt-rtx"]) == 0
    assert getattr(read(built).record, field) != value  # plans are not the same to the byte from one build to the next


def test_a_plan_for_too_few_windows_is_built_again(built: Bundle) -> None:
    with pytest.raises(PlanMismatch, match="the batch 3, got one for 1"):
        read(built, batch=3)
    assert main(["build", str(built.path), "--runtime", "tensorrt-rtx", "--batch", "3"]) == 0
    assert read(built, batch=3).record.batch == 3


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"batch": "many"}'])
def test_a_broken_side_file_refuses_the_plan(built: Bundle, content: bytes) -> None:
    side_file(built).write_bytes(content)
    with pytest.raises(PlanMismatch, match="a readable plan and side file"):
        read(built)


def test_a_torn_plan_is_refused(built: Bundle) -> None:
    path = plan_path(built, TENSORRT_RTX)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(PlanMismatch, match="the plan's own bytes"):
        read(built)
    path.unlink()
    with pytest.raises(PlanMismatch, match=r"got none; run python -m engines build built"):
        read(built)


def test_a_plan_from_another_gpu_is_refused(built: Bundle) -> None:
    """Plans of TensorRT itself are for one GPU; the file is not a real one, it is refused before it is read."""
    gpus = [Gpu(name, (8, 9), (13, 0)) for name in ("NVIDIA One", "NVIDIA Two")]
    record = read(built).record
    side = json.loads(side_file(built).read_text()) | {
        "runtime": "tensorrt",
        "runtime_version": TENSORRT.version,
        "device": str(gpus[0]),
        "driver": "CUDA 13.0",
    }
    plan_path(built, TENSORRT).with_suffix(".json").write_text(json.dumps(side))
    shutil.copy(plan_path(built, TENSORRT_RTX), plan_path(built, TENSORRT))
    assert read_plan(built, TENSORRT, gpus[0]).record.tensors == record.tensors
    with pytest.raises(PlanMismatch, match=r"the GPU NVIDIA Two \(compute capability 8.9\), got one for NVIDIA One"):
        read_plan(built, TENSORRT, gpus[1])
    with pytest.raises(PlanMismatch, match=r"the driver CUDA 13.1, got one for CUDA 13.0"):
        read_plan(built, TENSORRT, Gpu("NVIDIA One", (8, 9), (13, 1)))


def test_a_folder_that_cannot_be_written_costs_only_time(make: Make, tmp_path: Path) -> None:
    bundle = make("small", "fp32").derive(tmp_path / "full", name="full")
    bundle.engines_path.write_text("a file where the folder should be")
    lines: list[str] = []
    plan = make_plan(bundle, TENSORRT_RTX, None, 1, lambda *_: None, lines.append)
    assert len(plan.data) > 100_000
    assert len(lines) == 1
    assert "cannot be kept" in lines[0]


def test_progress_counts_every_phase_to_its_end(make: Make) -> None:
    bundle = make("small", "fp32")
    last: dict[str, tuple[int, int]] = {}

    def step(phase: str, done: int, total: int) -> None:
        assert 0 <= done <= total
        last[phase] = done, total

    build(TENSORRT_RTX, bundle.card, bundle.onnx_path.read_bytes(), 2, b"", step)
    assert len(last) > 3
    assert all(done == total for done, total in last.values())


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--batch", "0"), "a batch of 1 to 64 windows, got 0"),
        (("--batch", "65"), "a batch of 1 to 64 windows, got 65"),
        (("--precision", "fp16"), "an fp16 bundle, got built, which is fp32; make one with python -m engines export"),
        (
            ("--precision", "int8"),
            "an int8 bundle, got built, which is fp32; make one with python -m calibration quantize",
        ),
        (("--precision", "bf16"), "invalid choice: 'bf16'"),
        (("--runtime", "cudnn"), "invalid choice: 'cudnn'"),
    ],
)
def test_what_cannot_be_built_is_one_line_and_exit_2(
    built: Bundle, arguments: tuple[str, ...], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    refused(["build", str(built.path), *arguments], complaint, capsys)


def refused(arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(arguments)
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert err.startswith("manet-live: error: expected ")
    assert complaint in err
    assert err.count("\n") == 1


def test_tensorrt_builds_only_where_it_will_run(
    built: Bundle, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def find_none() -> Gpu:
        raise NoGpu("the driver finds no GPU")

    monkeypatch.setattr(command, "find_gpu", find_none)
    monkeypatch.setattr(Library, "load", lambda library: None)
    capsys.readouterr()
    refused(
        ["build", str(built.path), "--runtime", "tensorrt"],
        "a GPU and a driver that tensorrt can use, got the driver finds no GPU; build where it will run",
        capsys,
    )


def test_a_driver_older_than_the_library_is_named(
    built: Bundle, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "find_gpu", lambda: Gpu("NVIDIA Old", (8, 6), (12, 4)))
    capsys.readouterr()
    refused(
        ["build", str(built.path), "--runtime", "tensorrt-rtx"],
        "the driver of NVIDIA Old runs CUDA 12.4, tensorrt-rtx-cu13 needs CUDA 13: update the driver; "
        "to build for another computer, hide this GPU with CUDA_VISIBLE_DEVICES=",
        capsys,
    )


def test_a_card_that_promises_another_precision_is_refused(
    built: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    claimed = built.derive(tmp_path / "claimed", precision="int8")
    capsys.readouterr()
    refused(
        ["build", str(claimed.path), "--runtime", "tensorrt-rtx"],
        "a network in int8, as its card says, got fp32",
        capsys,
    )


def rename_output(graph: onnx.GraphProto) -> None:
    for node in graph.node:
        node.output[:] = ["scores" if name == "logits" else name for name in node.output]
    graph.output[0].name = "scores"


def test_a_network_that_cannot_be_read_says_why(built: Bundle, tmp_path: Path) -> None:
    model = onnx.load(str(built.onnx_path))
    rename_output(model.graph)
    cases = {
        b"not a network": "tensorrt-rtx cannot read built: .*engines export",
        model.SerializeToString(): "tensorrt-rtx reads .*scores.*promises .*logits",
    }
    for index, (data, complaint) in enumerate(cases.items()):
        bundle = built.derive(tmp_path / f"broken{index}", onnx=data)
        with pytest.raises(RuntimeFailed, match=complaint) as caught:
            make_plan(bundle, TENSORRT_RTX, None, 1, lambda *_: None, lambda _: None)
        assert "\n" not in str(caught.value)
        assert not plan_path(bundle, TENSORRT_RTX).exists()
