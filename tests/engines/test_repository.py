"""A Triton model repository: the protocol's own parser reads its configurations."""

import pytest

from engines.__main__ import main
from engines.bundle import Bundle, find


def test_a_repository_serves_what_the_bundles_hold(tmp_path):
    out = tmp_path / "repository"
    assert main(["repository", "untrained-small", "landmarks-small", "--out", str(out)]) == 0
    for name in ("untrained-small", "landmarks-small"):
        assert (out / name / "1" / "model.onnx").read_bytes() == Bundle.load(find(name)).onnx_path.read_bytes()
        assert f"| `{name}` | onnx, fp32" in (out / "README.md").read_text()
    assert "UNTRAINED | 301 kB |" in (out / "README.md").read_text()  # 8 pictures of 112 pixels in 3 colours


def test_its_configurations_are_what_triton_reads(tmp_path):
    model_config = pytest.importorskip("tritonclient.grpc.model_config_pb2")
    text_format = pytest.importorskip("google.protobuf.text_format")
    main(["repository", "untrained-small", "emotions", "--out", str(tmp_path)])
    read = {
        name: text_format.Parse((tmp_path / name / "config.pbtxt").read_text(), model_config.ModelConfig())
        for name in ("untrained-small", "emotions")
    }
    pixels = read["untrained-small"]
    assert (pixels.name, pixels.platform, pixels.max_batch_size) == ("untrained-small", "onnxruntime_onnx", 16)
    assert [(one.name, list(one.dims)) for one in pixels.input] == [("clips", [8, 112, 112, 3])]
    assert [(one.name, list(one.dims)) for one in pixels.output] == [("logits", [52])]
    assert list(pixels.dynamic_batching.preferred_batch_size) == [4, 8, 16]
    assert [one.batch_size for one in pixels.model_warmup] == [1, 16]
    assert pixels.version_policy.latest.num_versions == 1
    assert {one.name for one in read["emotions"].input} == set(Bundle.load(find("emotions")).card.network.inputs)


def test_bad_input_is_one_line(tmp_path, capsys):
    (tmp_path / "mine").touch()
    assert main(["repository", "untrained-small", "--out", str(tmp_path)]) == 2
    assert main(["repository", "untrained-small", "untrained-small", "--out", str(tmp_path / "new")]) == 2
    first, second = capsys.readouterr().err.strip().splitlines()
    assert first.startswith("manet-live: error: expected a new or empty folder for --out")
    assert second.startswith("manet-live: error: expected models of different names")
    assert not (tmp_path / "new").exists()
