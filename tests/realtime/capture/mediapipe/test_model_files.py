"""Fetching model files: from their maker's store, from an old wheel by the real pip, or by hand."""

from __future__ import annotations

import hashlib
import logging
import subprocess
import sys
import threading
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from engines.common.errors import BadInput
from realtime.capture.mediapipe import model_files
from realtime.capture.mediapipe import process as mediapipe_process
from realtime.capture.mediapipe.model_files import (
    FACE,
    HAND,
    POSES,
    ModelFile,
    Part,
    model_folder,
    model_path,
    whole_model,
)
from tests.realtime.capture.mediapipe.conftest import CONTENT, STORE

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[4]


def described(url: str, parts: tuple[Part, ...] = ()) -> ModelFile:
    return ModelFile(url, hashlib.sha256(CONTENT).hexdigest(), parts)


def part(path: str, data: bytes) -> Part:
    return Part(path.rpartition("/")[2], hashlib.sha256(data).hexdigest(), path)


def make_wheel(folder: Path, members: dict[str, bytes]) -> None:
    info = "mediapipe-0.10.21.dist-info"
    with zipfile.ZipFile(folder / "mediapipe-0.10.21-cp311-cp311-manylinux_2_28_x86_64.whl", "w") as wheel:
        for name, data in members.items():
            wheel.writestr(name, data)
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: mediapipe\nVersion: 0.10.21\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: cp311-cp311-manylinux_2_28_x86_64\n")
        wheel.writestr(f"{info}/RECORD", "")


def store(server: Path, content: bytes = CONTENT) -> str:
    (server / "test.task").write_bytes(content)
    return f"{STORE[0]}/test.task"


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name != "test.task"]


def test_fetched_once_from_the_store(folder: Path, server: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    model = described(store(server))
    path = model_path(model)
    assert path == folder / "test.task"
    assert path.read_bytes() == CONTENT
    assert len(caplog.messages) == 1
    (server / "test.task").unlink()
    assert model_path(model) == path
    assert len(caplog.messages) == 1
    assert leftovers(folder) == []


def test_a_file_put_there_by_hand_is_taken(folder: Path) -> None:
    folder.mkdir()
    (folder / "test.task").write_bytes(CONTENT)
    assert model_path(described("http://127.0.0.1:9/nowhere/test.task")).read_bytes() == CONTENT


PARTS = (part("m/a.tflite", b"A" * 100), part("m/b.tflite", b"B" * 77))


def damage(path: Path, at: int) -> bytes:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    return bytes(data)


def test_a_damaged_file_is_fetched_again_and_kept_aside(
    folder: Path, server: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = described(store(server))
    damaged = damage(model_path(model), 3000)
    caplog.set_level(logging.INFO)
    caplog.clear()
    with pytest.raises(BadInput, match=r"test\.task, which is damaged"):
        whole_model(model)
    assert model_path(model).read_bytes() == CONTENT
    assert caplog.messages == [
        f"{folder / 'test.task'} is damaged: it is replaced",
        "fetching test.task from its maker's store",
    ]
    assert (folder / "test.task.damaged").read_bytes() == damaged
    assert whole_model(model) == folder / "test.task"


def test_the_first_damaged_file_is_never_overwritten(folder: Path, server: Path) -> None:
    model = described(store(server))
    folder.mkdir()
    (folder / "test.task").write_bytes(b"a person's own")
    model_path(model).write_bytes(CONTENT[:-1])
    assert model_path(model).read_bytes() == CONTENT
    assert (folder / "test.task.damaged").read_bytes() == b"a person's own"


def test_a_damaged_file_is_named_where_no_other_can_be_had(folder: Path, tmp_path: Path) -> None:
    folder.mkdir()
    (folder / "test.task").write_bytes(CONTENT[:4000])
    with pytest.raises(BadInput) as caught:
        model_path(described("http://127.0.0.1:9/nowhere/test.task"))
    assert f"a damaged one, {folder / 'test.task'} (its maker's store: " in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [path.name for path in folder.iterdir()] == ["test.task"]
    assert (folder / "test.task").read_bytes() == CONTENT[:4000]


def test_any_damage_to_a_file_put_together_is_found(folder: Path, tmp_path: Path) -> None:
    make_wheel(tmp_path / "wheels", {"m/a.tflite": b"A" * 100, "m/b.tflite": b"B" * 77})
    model = described("http://127.0.0.1:9/nowhere/test.task", PARTS)
    path = model_path(model)
    whole = path.read_bytes()
    assert (folder / "test.task.sha256").read_text() == f"{hashlib.sha256(whole).hexdigest()}  test.task\n"
    for at in range(len(whole)):
        damage(path, at)
        with pytest.raises(BadInput, match="which is damaged"):
            whole_model(model)
        path.write_bytes(whole)
    assert whole_model(model) == path


def test_a_file_without_a_note_is_checked_by_its_archives_checksums(folder: Path, tmp_path: Path) -> None:
    make_wheel(tmp_path / "wheels", {"m/a.tflite": b"A" * 100, "m/b.tflite": b"B" * 77})
    model = described("http://127.0.0.1:9/nowhere/test.task", PARTS)
    path = model_path(model)
    (folder / "test.task.sha256").unlink()
    assert whole_model(model) == path
    whole = path.read_bytes()
    for changed in (whole[:-1], whole[:100], b"", b"mine", whole.replace(b"A" * 100, b"A" * 50 + b"C" + b"A" * 49)):
        path.write_bytes(changed)
        with pytest.raises(BadInput, match="which is damaged"):
            whole_model(model)


def test_nothing_is_fetched_where_the_file_must_be_there(folder: Path, server: Path) -> None:
    with pytest.raises(BadInput, match=r"test\.task \(No such file or directory\)"):
        whole_model(described(store(server)))
    assert not folder.exists()


@pytest.mark.parametrize(("no_proxy", "direct"), [("", False), (".example", True), ("*", True)])
def test_files_are_fetched_by_the_users_proxy(monkeypatch: pytest.MonkeyPatch, no_proxy: str, direct: bool) -> None:
    monkeypatch.setattr(mediapipe_process, "_before", {})
    for name, value in (("https_proxy", "http://proxy.example:1"), ("HTTPS_PROXY", ""), ("no_proxy", no_proxy)):
        monkeypatch.setenv(name, value)
    mediapipe_process.block_reports()
    proxies = model_files._proxies("https://store.example/model.task")
    assert proxies == {"https": "" if direct else "http://proxy.example:1"}


def test_a_wrong_file_is_refused_and_the_wheel_is_tried(folder: Path, tmp_path: Path, server: Path) -> None:
    make_wheel(tmp_path / "wheels", {"m/a.tflite": b"A" * 100, "m/b.tflite": b"B" * 77})
    model = described(store(server, b"evil"), (part("m/a.tflite", b"A" * 100), part("m/b.tflite", b"B" * 77)))
    path = model_path(model)
    with zipfile.ZipFile(path) as bundle:
        content = {name: bundle.read(name) for name in bundle.namelist()}
        assert content == {"a.tflite": b"A" * 100, "b.tflite": b"B" * 77}
        assert all(member.compress_type == zipfile.ZIP_STORED for member in bundle.infolist())
    data = path.read_bytes()
    assert data.index(b"A" * 100) % 16 == data.index(b"B" * 77) % 16 == 0  # used where they lie
    first = data
    path.unlink()
    assert model_path(model).read_bytes() == first


def test_when_all_ways_fail_the_line_says_what_to_do(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        model_path(described("http://127.0.0.1:9/nowhere/test.task"))
    line = str(caught.value)
    assert "\n" not in line
    for needed in (
        "test.task",
        "http://127.0.0.1:9/nowhere/test.task",
        str(folder),
        "MANET_LIVE_MODELS",
        "pip could not",
    ):
        assert needed in line
    assert leftovers(folder) == []


def test_a_wheel_with_other_models_is_refused(folder: Path, tmp_path: Path) -> None:
    make_wheel(tmp_path / "wheels", {"m/a.tflite": b"other"})
    with pytest.raises(BadInput, match=r"m/a\.tflite in it is not the file expected"):
        model_path(described("http://127.0.0.1:9/nowhere/test.task", (part("m/a.tflite", b"A"),)))
    with pytest.raises(BadInput, match="is not in it"):
        model_path(described("http://127.0.0.1:9/nowhere/test.task", (part("m/b.tflite", b"A"),)))
    assert leftovers(folder) == []


def test_a_folder_that_cannot_be_written_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MANET_LIVE_MODELS", str(tmp_path / "file" / "models"))
    with pytest.raises(BadInput, match="models"):
        model_path(described("http://127.0.0.1:9/nowhere/test.task"))


def test_several_at_once_end_with_one_whole_file(folder: Path, server: Path) -> None:
    model = described(store(server))
    threads = [threading.Thread(target=model_path, args=(model,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (folder / "test.task").read_bytes() == CONTENT
    assert leftovers(folder) == []


def test_the_folder_is_the_users_cache_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MANET_LIVE_MODELS", raising=False)
    assert model_folder().name == "models"
    assert "manet-live" in str(model_folder())


def test_importing_fetches_nothing(folder: Path) -> None:
    code = "import sys, realtime.capture.views.make; assert 'mediapipe' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    assert not folder.exists()


def bare_model(schema: ModuleType, shape: list[int], weights: bytes) -> bytes:
    """A network without operators, whose one tensor is its input and its output."""
    import flatbuffers

    model, graph, tensor = schema.ModelT(), schema.SubGraphT(), schema.TensorT()
    empty, full = schema.BufferT(), schema.BufferT()
    full.data = list(weights)
    tensor.shape, tensor.buffer, tensor.name = shape, 1, "in"
    graph.tensors, graph.inputs, graph.outputs, graph.operators = [tensor], [0], [0], []
    model.version, model.subgraphs, model.buffers, model.operatorCodes = 3, [graph], [empty, full], []
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def test_metadata_is_added_once_and_the_weights_stay() -> None:
    schema = pytest.importorskip("mediapipe.tasks.metadata.schema_py_generated")
    from realtime.capture.mediapipe.tflite import with_image_metadata

    weights = bytes(range(256)) * 3
    rich = with_image_metadata(bare_model(schema, [1, 8, 8, 3], weights), 0.0, 255.0)
    tree = schema.ModelT.InitFromObj(schema.Model.GetRootAs(rich, 0))
    assert [entry.name for entry in tree.metadata] == [b"TFLITE_METADATA"]
    assert bytes(tree.buffers[1].data) == weights
    assert b"M001" in bytes(tree.buffers[tree.metadata[0].buffer].data)
    assert with_image_metadata(rich, 1.0, 2.0) is rich


def test_a_face_network_gets_its_irises_and_nothing_else_does() -> None:
    schema = pytest.importorskip("mediapipe.tasks.metadata.schema_py_generated")
    from realtime.capture.mediapipe.tflite import with_irises

    longer = with_irises(bare_model(schema, [1, 1, 1, 1404], b"weights"))
    tree = schema.ModelT.InitFromObj(schema.Model.GetRootAs(longer, 0))
    graph = tree.subgraphs[0]
    assert list(graph.tensors[graph.outputs[0]].shape) == [1, 1, 1, 1434]
    codes = [tree.operatorCodes[operator.opcodeIndex].builtinCode for operator in graph.operators]
    assert codes == [schema.BuiltinOperator.SLICE, schema.BuiltinOperator.CONCATENATION]
    assert bytes(tree.buffers[1].data) == b"weights"
    with pytest.raises(ValueError, match="expected 468 face points"):
        with_irises(bare_model(schema, [1, 195], b""))


@pytest.mark.parametrize("model", [*POSES.values(), HAND, FACE], ids=lambda model: model.name)
def test_the_table_is_whole(model: ModelFile) -> None:
    kind = model.name.split("_")[0]
    assert [piece.name for piece in model.parts] == [f"{kind}_detector.tflite", f"{kind}_landmarks_detector.tflite"]
    assert all(len(digest) == 64 for digest in (model.sha256, *(piece.sha256 for piece in model.parts)))
    assert model.url.endswith(model.name)
    assert model_files._WHEEL.endswith("0.10.21")
