"""Recordings that the tests make themselves, and the command line as its user runs it."""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # torch reads it when it is imported; test processes side by side have a core each

import contextlib
import fcntl
import hashlib
import io
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from types import FunctionType

import av
import cv2
import numpy as np
import pytest
import zmq
from hypothesis import settings

from engines.bundle import Bundle
from engines.common.errors import BadInput
from realtime.capture.mediapipe.model_files import EXPRESSION_NETS, FACE, HAND, POSE, ModelFile, model_path
from run_live import main as command_line
from tests.bundles import untrained_streaming

ROOT = Path(__file__).resolve().parent.parent
CLIPS = ROOT.parent / "shared" / "data" / "clips"
ODD_RECORDINGS = CLIPS.parent / "odd_recordings"
REAL = CLIPS.parent / "real"
BITS, BLOCK, GRID = 16, 16, 4  # a frame's index is drawn as 4x4 black and white blocks


settings.register_profile("untimed", deadline=None)  # machines are noisy
settings.load_profile("untimed")


def numbered_picture(index: int) -> np.ndarray:
    """Black and white blocks that spell `index`, (64, 64, 3)."""
    bits = np.array([(index >> bit) & 1 for bit in range(BITS)], np.uint8).reshape(GRID, GRID)
    return np.repeat(np.kron(bits * 255, np.ones((BLOCK, BLOCK), np.uint8))[..., None], 3, axis=2)


def number_in(body: np.ndarray) -> int:
    """The index drawn into a (S, S, 3) picture."""
    step = body.shape[0] // GRID
    bits = body[step // 2 :: step, step // 2 :: step, 0][:GRID, :GRID] > 127
    return int(sum(1 << bit for bit, on in enumerate(bits.ravel()) if on))


def write_numbered(path: Path, times_ms: Iterable[int]) -> Path:
    """A recording whose pictures carry their own index, shown at the given presentation times."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=1000)
        stream.width = stream.height = GRID * BLOCK
        stream.pix_fmt, stream.time_base = "yuv420p", Fraction(1, 1000)
        stream.codec_context.time_base = Fraction(1, 1000)
        stream.codec_context.qmin = stream.codec_context.qmax = 2
        for index, at_ms in enumerate(times_ms):
            frame = av.VideoFrame.from_ndarray(numbered_picture(index), format="rgb24")
            frame.pts, frame.time_base = at_ms, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@dataclass
class Finished:
    """A command that ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict]:
        return [json.loads(line) for line in self.out.splitlines()]

    def of(self, kind: str) -> list[dict]:
        return [line for line in self.lines if line["kind"] == kind]

    @property
    def action_text(self) -> str:
        return "\n".join(line for line in self.out.splitlines() if line.startswith('{"kind":"action"'))


def manet_live(*arguments: str | Path, timeout: float = 120) -> Finished:
    """Run the command line in a process of its own."""
    done = subprocess.run(
        [sys.executable, ROOT / "run_live.py", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


def manet_live_here(*arguments: str | Path) -> Finished:
    """Run the command line in this process: for what ends before a session would begin."""
    out, err = io.StringIO(), io.StringIO()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = command_line(list(map(str, arguments)))
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return Finished(code, out.getvalue(), err.getvalue())


def refused(*arguments: str | Path) -> str:
    """The one line with which the command line refuses bad input."""
    done = manet_live_here(*arguments)
    assert (done.code, done.out) == (2, ""), done
    (line,) = done.err.strip().splitlines()
    assert line.startswith("manet-live: error: expected ")
    return line


Make = FunctionType  # takes the path of a folder that is not there yet
Kept = Callable[[str, Make], Path]


@pytest.fixture(scope="session")
def kept(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """`kept(name, make)` copies a folder that `make` has made: once for all processes, and for all runs of one source.

    For bundles: to export a network takes ten seconds of a core.
    """
    cache = getattr(pytestconfig, "cache", None)
    store = cache.mkdir("kept") if cache else tmp_path_factory.mktemp("kept")

    def get(name: str, make: Make) -> Path:
        folder, target = store / f"{name}.{source_hash(make)}", tmp_path_factory.mktemp(name) / name
        with (store / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.exists():
                for stale in store.glob(f"{name}.*/"):
                    shutil.rmtree(stale)
                make(target)
                shutil.copytree(target, store / f"{name}.new")
                (store / f"{name}.new").rename(folder)
                return target
        shutil.copytree(folder, target)
        return target

    return get


@pytest.fixture(scope="session")
def streaming_bundle(kept: Kept) -> Bundle:
    """MANet-18 with a shift from the past, width 8, 32 pixels, with the embedding head; untrained."""
    return Bundle.load(kept("streaming", untrained_streaming))


def source_hash(make: Make) -> str:
    """Of what decides what `make` makes: its own file, the engines' code, and the libraries that export."""
    digest = hashlib.sha256("".join(map(version, ("torch", "onnx", "onnxscript"))).encode())
    for file in (Path(make.__code__.co_filename), *sorted((ROOT / "engines").rglob("*.py"))):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


@pytest.fixture
def context() -> Iterator[zmq.Context]:
    """Closes its sockets when a test fails, too: a context with an open one blocks when it is collected."""
    made = zmq.Context()
    made.linger = 0  # of every socket: one that a test has dropped is closed by then, and would wait to send
    yield made
    made.destroy()


@pytest.fixture(scope="session")
def clips() -> Path:
    if not CLIPS.is_dir():
        pytest.skip("the real clips are not on this machine")
    return CLIPS


@pytest.fixture(scope="session")
def real() -> Path:
    """Landmark sequences and recordings of real people, with what is right in them."""
    if not REAL.is_dir():
        pytest.skip("the sequences of real people are not on this machine")
    return REAL


@pytest.fixture(scope="session")
def odd_recordings() -> Path:
    if not ODD_RECORDINGS.is_dir():
        pytest.skip("the odd recordings are not on this machine")
    return ODD_RECORDINGS


def model_file(model: ModelFile) -> Path:
    """Where a tracker's model is; without it the test is skipped."""
    pytest.importorskip("mediapipe")
    try:
        return model_path(model)
    except BadInput as error:
        pytest.skip(f"no tracker model: {error}")


@pytest.fixture(scope="session")
def trackers() -> list[Path]:
    """The models of pose, hands and face."""
    return [model_file(model) for model in (POSE, HAND, FACE)]


@pytest.fixture(scope="session")
def expression_models() -> list[Path]:
    """The weights of the expression nets."""
    return [model_file(model) for model in EXPRESSION_NETS]


@pytest.fixture(scope="session")
def face_model() -> Path:
    return model_file(FACE)


@pytest.fixture(scope="session")
def recording(tmp_path_factory) -> Path:
    """Ten seconds at 30 frames/s; a new scene of coloured clouds twice a second, so that scores keep changing."""
    rng = np.random.default_rng(1)
    path = tmp_path_factory.mktemp("recordings") / "scenes.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 360, 432, "yuv420p"
        for index in range(300):
            if index % 15 == 0:
                clouds = rng.integers(0, 256, (int(rng.integers(3, 30)), int(rng.integers(3, 30)), 3), np.uint8)
                scene = cv2.resize(clouds, (360, 432), interpolation=cv2.INTER_CUBIC)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.roll(scene, index, axis=1), format="rgb24")))
        container.mux(stream.encode(None))
    return path
