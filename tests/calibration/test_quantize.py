from __future__ import annotations

import shutil
from pathlib import Path

import av
import msgspec
import numpy as np
import onnx
import onnxruntime
import pytest

from benchmarks.bundles import random_weights
from calibration.__main__ import main
from calibration.qdq import Graph, weight_error
from calibration.quantize import INT8_TOLERANCE, LEAST, Settings, judge, quantize
from calibration.ranges import METHODS, measure_ranges
from calibration.windows import Windows, cut_windows, read_labels, simulated_windows, video_windows
from engines.bundle import Bundle, find
from engines.card import Calibration, ModelCard, Provenance
from engines.common.errors import BadInput
from engines.export.onnx_export import write_bundle
from engines.export.weights import read_network
from engines.networks.registry import make_spec
from engines.patterns import moving_patterns
from engines.runtimes import open_runtime
from engines.specs.manet import MANetSpec
from tests.conftest import Kept, number_in, write_numbered

pytestmark = pytest.mark.slow

SPEC = MANetSpec(depth=18, width=8, size=64, embedding=False)  # what windows of numbered pictures are cut for


@pytest.fixture(scope="module")
def bundle(kept: Kept) -> Bundle:
    """The default model's weights as if it saw RGB: untrained ones magnify whatever INT8 rounds."""
    source = Bundle.load(find("landmarks-small"))
    network = read_network(source, msgspec.structs.replace(source.card.network, mirrored=msgspec.UNSET))
    card = msgspec.structs.replace(source.card, network=network.spec, name="small", view="rgb")
    return Bundle.load(kept("rgb", lambda path: write_bundle(network, card, path)))


@pytest.fixture(scope="module")
def graph(bundle: Bundle) -> Graph:
    return Graph(bundle.onnx_path.read_bytes())


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Moving patterns for two minutes, ten pictures a second."""
    path = tmp_path_factory.mktemp("videos") / "patterns.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"preset": "ultrafast"})
        stream.width = stream.height = 128
        stream.pix_fmt = "yuv420p"
        for clip in moving_patterns(5, 150, 8, 128):
            for picture in clip:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def run(data: bytes, clips: np.ndarray) -> np.ndarray:
    """As the file says: each Q and DQ by itself."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["logits"], {"clips": clips})[0])


def test_convolutions_and_residual_streams_are_found_by_name(graph: Graph) -> None:
    names = [layer.name for layer in graph.layers]
    assert len(names) == len(set(names)) == 20 + 8
    assert names[:4] == [f"backbone.{name}" for name in ("stem", "layer1.0.conv1", "layer1.0.conv2", "layer1.0.sum")]
    assert "backbone.layer2.0.downsample" in names
    assert not any("gate" in name or "classifier" in name for name in names)


def test_the_file_is_symmetric_per_channel_and_leaves_biases_alone(graph: Graph) -> None:
    model = onnx.load_from_string(graph.quantised(dict.fromkeys(graph.activations, 6.0), {"backbone.layer1.0.conv2"}))
    arrays = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    readers = {name: node for node in model.graph.node for name in node.input[:1]}
    makers = {node.output[0]: node for node in model.graph.node}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    quantised = [node for node in convolutions if makers.get(node.input[1]) is not None]
    assert len(quantised) == len(convolutions) - 1
    for node in quantised:
        codes, scales, zeros = (arrays[name] for name in makers[node.input[1]].input)
        assert (codes.dtype, scales.shape, zeros.any()) == (np.int8, (len(codes),), False)
        assert np.abs(codes.astype(int)).reshape(len(codes), -1).max(axis=1).tolist() == [127] * len(codes)
        assert arrays[node.input[2]].dtype == np.float32
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear":
            assert arrays[node.input[1]].shape == ()
            assert arrays[node.input[2]].dtype == np.int8
            assert arrays[node.input[2]] == 0
            assert readers[node.output[0]].op_type == "DequantizeLinear"


@pytest.mark.parametrize("method", METHODS)
def test_ranges_cover_what_was_seen(bundle: Bundle, graph: Graph, method: str) -> None:
    clips = moving_patterns(9, 3, 8, bundle.card.size)
    some = [layer.activation for layer in graph.layers[:6]]
    largest = measure_ranges(graph.observed(), some, {"clips": clips}, "minmax")
    found = measure_ranges(graph.observed(), some, {"clips": clips}, method)  # type: ignore[arg-type]
    assert all(0.05 * largest[name] < found[name] <= largest[name] * 1.001 for name in some)
    if method == "minmax":
        session = onnx.load_from_string(graph.observed())
        session.graph.output.append(onnx.helper.make_tensor_value_info(some[3], 1, None))
        got = onnxruntime.InferenceSession(session.SerializeToString()).run([some[3]], {"clips": clips})[0]
        assert found[some[3]] == pytest.approx(np.abs(got).max(), rel=1e-5)


def test_weights_of_one_magnitude_lose_nothing_and_random_ones_little() -> None:
    assert weight_error(np.full((4, 3, 1, 1), 0.5, np.float32)) > 100
    assert 35 < weight_error(np.random.default_rng(0).normal(size=(16, 64, 3, 3)).astype(np.float32)) < 50


@pytest.mark.long
def test_quantised_bundle_from_videos(
    bundle: Bundle, video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = tmp_path / "list.txt"
    labels.write_text("patterns.mp4 9\n")
    out = tmp_path / "int8"
    assert (
        main(
            [
                "quantize",
                str(bundle.path),
                "--clips",
                str(video.parent),
                "--labels",
                str(labels),
                "--out",
                str(out),
                "--windows",
                "40",
                "--lose",
                "0.3",
            ]
        )
        == 0
    )
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + 28 + 1
    assert lines[1].split()[0] == "backbone.stem"
    assert "unseen windows" in lines[-1]
    assert "accuracy" in lines[-1]
    made = Bundle.load(out)
    assert (made.card.precision, made.card.parity.relative_tolerance) == ("int8", INT8_TOLERANCE)
    assert made.card.provenance == bundle.card.provenance
    clips = moving_patterns(11, 3, 8, bundle.card.size)
    want = run(made.onnx_path.read_bytes(), clips)
    for name in ("openvino", "onnxruntime"):
        with open_runtime(made, name) as runtime:
            assert np.abs(runtime.infer(clips).logits - want).max() <= INT8_TOLERANCE * np.abs(want).max(), name
    with open_runtime(made) as runtime:
        assert runtime.name in ("openvino", "onnxruntime")


@pytest.mark.long
def test_trained_model_says_the_same_in_int8(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "int8"
    code = main(["quantize", "landmarks-small", "--simulated", "--windows", "96", "--lose", "0.05", "--out", str(out)])
    line = capsys.readouterr().out.splitlines()[-1]
    assert code == 0, line
    made, full = Bundle.load(out), Bundle.load(find("landmarks-small"))
    windows = simulated_windows(full.card, "test", 48, 700)
    with open_runtime(full, "openvino") as before, open_runtime(made, "openvino") as after:
        found = judge(full, before.run(windows.inputs), after.run(windows.inputs), windows.labels)
    assert found.change < 0.005
    assert found.agreement > 0.9


def bad(arguments: list[str | Path], capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert main([str(word) for word in arguments]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    return err


def test_bad_input_is_one_line_and_nothing_is_written(
    bundle: Bundle, video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "int8"
    command: list[str | Path] = ["quantize", bundle.path, "--out", out]
    short = write_numbered(tmp_path / "short.mp4", range(0, 4000, 100))
    assert "expected 32 calibration windows or more, got 2" in bad([*command, "--clips", short], capsys)
    assert "which sees rgb; give videos with --clips" in bad([*command, "--simulated"], capsys)
    assert "sees landmarks; give --simulated" in bad(
        ["quantize", "landmarks-small", "--out", out, "--clips", video], capsys
    )
    numbers = bad(["quantize", "landmarks", "--out", out, "--simulated"], capsys)
    assert "expected a model that sees pictures, got landmarks, which sees numbers; leave it in fp32" in numbers
    assert "a readable video" in bad([*command, "--clips", tmp_path / "absent.mp4"], capsys)
    labels = tmp_path / "list.txt"
    labels.write_text("other.mp4 3\n")
    assert "a label for patterns.mp4" in bad([*command, "--clips", video, "--labels", labels], capsys)
    labels.write_text("patterns.mp4 3\nother.mp4 52\n")
    assert "list.txt:2" in bad([*command, "--clips", video, "--labels", labels], capsys)
    assert "--lose of 0 to below 1" in bad([*command, "--clips", video, "--lose", "1"], capsys)
    assert not out.exists()


def test_more_than_the_bound_lost_is_refused(
    bundle: Bundle, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With ranges a thousand times too small every score is lost."""
    monkeypatch.setattr(
        "calibration.quantize.measure_ranges",
        lambda graph, tensors, clips, method, report: dict.fromkeys(tensors, 1e-3),
    )
    line = bad(["quantize", bundle.path, "--clips", video, "--windows", "40", "--out", tmp_path / "int8"], capsys)
    assert "nothing was written" in line
    assert not (tmp_path / "int8").exists()


def test_an_int8_bundle_is_not_quantised_again(
    bundle: Bundle, graph: Graph, video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ranges = measure_ranges(graph.observed(), graph.activations, bundle.reference_arrays().inputs, "minmax")
    made = bundle.derive(tmp_path / "int8", onnx=graph.quantised(ranges), precision="int8")
    command: list[str | Path] = ["quantize", made.path, "--clips", video, "--out", tmp_path / "twice"]
    assert "an fp32 bundle to quantise" in bad(command, capsys)


def test_windows_are_cut_by_time(tmp_path: Path) -> None:
    card = ModelCard(
        name="m",
        network=SPEC,
        intended_use="tests",
        span_s=1.6,
        provenance=Provenance(trained=False, trained_on="nothing"),
    )
    path = write_numbered(tmp_path / "numbered.mp4", [*range(0, 1000, 50), *range(1000, 4400, 100)])
    first, second, third = cut_windows(path, card)
    times = [*range(0, 1000, 50), *range(1000, 4400, 100)]
    for start, window in enumerate((first, second)):
        want = [max(at for at in times if at <= 1600 * start + 200 * (i + 1)) for i in range(8)]
        assert [times[number_in(picture)] for picture in window] == want
    assert [times[number_in(picture)] for picture in third][-1] == times[-1]  # held to the end
    with pytest.raises(BadInput, match="sees RGB"):
        video_windows(Bundle.load(find("landmarks-small")).card, [path], 10, None)


def test_judgement_counts_decided_windows_and_accuracy(bundle: Bundle) -> None:
    card = bundle.card
    sigmoid = Bundle(
        bundle.path,
        ModelCard(
            name="s",
            network=card.network,
            provenance=card.provenance,
            intended_use="tests",
            calibration=Calibration(activation="sigmoid"),
        ),
    )
    before = np.full((4, 52), -5.0, np.float32)
    before[0, 3], before[1, 4], before[2, 5], before[3, 6] = 2.0, 2.0, 2.0, -1.0
    after = before.copy()
    after[1, 9], after[3, 9] = 3.0, 0.0
    labels = np.zeros((4, 52), np.float32)
    labels[[0, 1], [3, 4]] = 1.0
    found = judge(sigmoid, {"logits": before}, {"logits": after}, labels)
    assert (found.agreement, found.decided, found.decided_agreement) == (0.5, 3, pytest.approx(2 / 3))
    assert found.accuracy == (1.0, 0.5)
    assert found.lost == pytest.approx(0.5)


def test_withheld_labels_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "test.txt"
    path.write_text("a.mp4 0\nb.mp4 0\n")
    with pytest.raises(BadInput, match="labels are withheld"):
        read_labels(path)
    shutil.rmtree(tmp_path)
    with pytest.raises(BadInput, match="FileNotFoundError"):
        read_labels(path)


@pytest.mark.long
def test_of_a_plain_transformer_int8_is_not_offered(tmp_path: Path) -> None:
    spec = make_spec("videomae", ["width=192", "heads=4", "layers=12", "size=32", "length=2"])
    made = random_weights(spec, tmp_path / "a")
    windows = Windows({"clips": np.zeros((LEAST, *made.card.network.inputs["clips"]), np.uint8)}, None)
    with pytest.raises(BadInput, match=r"a network of convolutions.*VideoMAE.*where they hold \d.\d%; keep fp32"):
        quantize(made, tmp_path / "out", windows, windows, Settings("a-int8"))
    assert not (tmp_path / "out").exists()
