"""Windows judged by a real server of the Open Inference Protocol (MLServer, in an environment of its own)."""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from engines.bundle import Bundle, find
from engines.common.errors import BadInput
from engines.runtimes import NoAnswer, ServerSettings, open_runtime
from engines.runtimes.inference_server import InferenceServer, check_address
from tests.conftest import manet_live
from tests.realtime.sessions import EVENTFUL, free_port

PACKAGES = ("mlserver==1.7.1", "onnxruntime", "numpy<2.4")
real_server = [pytest.mark.cluster, pytest.mark.timeout(1200)]


class Server:
    """MLServer with the shipped untrained model, under the name `served`, version 1."""

    def __init__(self, python: Path, folder: Path) -> None:
        self._command = [str(python.with_name("mlserver")), "start", str(folder)]
        self._folder, self.port = folder, free_port()
        shutil.copy(Path(__file__).with_name("served_onnx.py"), folder)
        shutil.copy(find("untrained-small") / "model.onnx", folder)
        ports = {"grpc_port": self.port, "http_port": free_port(), "metrics_port": free_port()}
        settings = {"host": "127.0.0.1", "parallel_workers": 0, **ports}
        (folder / "settings.json").write_text(json.dumps(settings))
        model = {
            "name": "served",
            "implementation": "served_onnx.OnnxModel",
            "max_batch_size": 8,
            "max_batch_time": 0.05,
        }
        parameters = {"uri": str(folder / "model.onnx"), "version": "1"}
        (folder / "model-settings.json").write_text(json.dumps(model | {"parameters": parameters}))

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        environment = {**os.environ, "PYTHONPATH": str(self._folder)}
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command, env=environment, stdout=log, stderr=log)
        settings = ServerSettings(self.address, model="served")
        until_s = time.monotonic() + 240
        while True:
            try:
                with open_runtime(bundle(), "inference-server", server=settings):
                    return
            except BadInput:
                if time.monotonic() > until_s:
                    raise
                time.sleep(0.5)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    @property
    def batches(self) -> list[int]:
        return list(map(int, (self._folder / "batches").read_text().split()))


def bundle() -> Bundle:
    return Bundle.load(find("untrained-small"))


@pytest.fixture(scope="module")
def python(pytestconfig) -> Path:
    """The interpreter of an environment with MLServer, whose requirements clash with ours."""
    pytest.importorskip("tritonclient.grpc", reason="tritonclient is not installed: pip install manet-live[remote]")
    if given := os.environ.get("MLSERVER_PYTHON"):
        return Path(given)
    folder = pytestconfig.cache.mkdir("mlserver") / "venv"
    made = folder / "bin" / "python"
    if not (folder / "done").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        done = subprocess.run(
            [made, "-m", "pip", "install", "-q", *PACKAGES], capture_output=True, text=True, check=False
        )
        if done.returncode:
            pytest.skip(f"MLServer cannot be installed: {done.stderr.strip()[-200:]}")
        (folder / "done").touch()
    return made


@pytest.fixture(scope="module")
def server(python, tmp_path_factory):
    made = Server(python, tmp_path_factory.mktemp("server"))
    made.start()
    yield made
    made.kill()


class Slow:
    """A proxy on loopback that lets so many bytes a second through, each way."""

    def __init__(self, port: int, bytes_per_s: float) -> None:
        self._target, self._bytes_per_s = port, bytes_per_s
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                here, _ = self._listener.accept()
            except OSError:
                return
            there = socket.create_connection(("127.0.0.1", self._target))
            for one, other in ((here, there), (there, here)):
                threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        try:
            while data := one.recv(4096):
                other.sendall(data)
                time.sleep(len(data) / self._bytes_per_s)
        except OSError:
            pass

    def close(self) -> None:
        self._listener.close()


def clips(count: int, seed: int = 0) -> np.ndarray:
    shape = (count, *bundle().card.network.inputs["clips"])
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        (ServerSettings(), "--server HOST:PORT"),
        (ServerSettings("localhost"), "--server HOST:PORT"),
        (ServerSettings("gpu.example.org:8001"), "an encrypted connection to another host"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused(settings, wanted):
    with pytest.raises(BadInput, match=f"expected {wanted}"):
        check_address(settings)


def test_addresses_that_can_be_used():
    assert check_address(ServerSettings("localhost:8001")) == "localhost:8001"
    assert check_address(ServerSettings("[::1]:8001")) == "[::1]:8001"
    assert check_address(ServerSettings("gpu.example.org:8001", tls=True)) == "gpu.example.org:8001"


class TestRealServer:
    pytestmark = real_server

    def test_it_gives_the_scores_of_the_local_engine(self, server):
        settings = ServerSettings(server.address, model="served", version="1", deadline_s=30.0)
        given = clips(3)
        with (
            open_runtime(bundle(), "inference-server", server=settings) as far,
            open_runtime(bundle(), "onnxruntime") as near,
        ):
            np.testing.assert_allclose(far.infer(given).logits, near.infer(given).logits, rtol=1e-4, atol=1e-5)

    def test_a_session_reports_the_same_events(self, server, recording, tmp_path):
        config = tmp_path / "settings.toml"
        config.write_text(EVENTFUL[-1].read_text() + '[server]\nmodel = "served"\ndeadline_s = 30.0\n')
        common = ["replay", recording, "--speed", "max", "--headless", "--model", "untrained-small", "--config", config]
        far = manet_live(*common, "--engine", "inference-server", "--server", server.address, timeout=400)
        near = manet_live(*common, "--engine", "onnxruntime", timeout=400)
        assert (far.code, near.code) == (0, 0), far.err
        assert far.action_text == near.action_text
        assert len(far.of("action")) >= 20
        assert far.of("session")[0]["engine"] == "inference-server"

    @pytest.mark.parametrize(("model", "version"), [("another", ""), ("served", "7")])
    def test_another_model_or_version_is_one_line(self, server, model, version):
        settings = ServerSettings(server.address, model=model, version=version)
        with pytest.raises(BadInput, match=f"expected the model {model} ?{version} at inference-server"):
            open_runtime(bundle(), "inference-server", server=settings)

    def test_rooms_share_its_batches(self, server):
        before = len(server.batches)
        settings = ServerSettings(server.address, model="served", deadline_s=60.0)
        took: list[list[float]] = [[] for _ in range(8)]

        def watch(room: int) -> None:
            given = clips(6, room)
            with open_runtime(bundle(), "inference-server", server=settings) as far:
                for at in range(6):
                    began_s = time.monotonic()
                    scores[room].append(far.infer(given[at : at + 1]).logits)
                    took[room].append(time.monotonic() - began_s)

        scores: list[list[np.ndarray]] = [[] for _ in range(8)]
        rooms = [threading.Thread(target=watch, args=(room,)) for room in range(8)]
        for room in rooms:
            room.start()
        for room in rooms:
            room.join()
        with open_runtime(bundle(), "onnxruntime") as near:
            for room in range(8):
                wanted = near.infer(clips(6, room)).logits
                np.testing.assert_allclose(np.concatenate(scores[room]), wanted, rtol=1e-4, atol=1e-5)
        assert max(server.batches[before:]) > 1  # windows of several rooms went through together
        means = [float(np.mean(one)) for one in took]
        assert max(means) < 3 * min(means)  # none waits for the others

    def test_a_slow_network_is_a_counted_skip(self, server):
        slow = Slow(server.port, 20e6)
        try:
            settings = ServerSettings(f"127.0.0.1:{slow.port}", model="served", deadline_s=30.0)
            far = InferenceServer(bundle(), settings)
            with far:
                far.infer(clips(1))
                slow._bytes_per_s = 50e3  # 300 kB of pixels take 6 s now
                far._settings = ServerSettings(settings.address, model="served", deadline_s=0.5)
                with pytest.raises(NoAnswer, match="did not answer in time") as late:
                    far.infer(clips(1))
                assert late.value.cause == "deadline"
                assert far.notice() == ""  # it is not lost
        finally:
            slow.close()

    def test_killed_and_started_again(self, python, tmp_path):
        server = Server(python, tmp_path)
        server.start()
        seconds = [0.0]
        settings = ServerSettings(server.address, model="served", deadline_s=20.0)
        far = InferenceServer(bundle(), settings, now=lambda: seconds[0])
        given = clips(1)
        with far:
            wanted = far.infer(given).logits
            server.kill()
            with pytest.raises(NoAnswer) as lost:
                far.infer(given)
            assert lost.value.cause == "server"
            assert "is lost" in far.notice()
            assert far.notice() == ""
            server.start()
            with pytest.raises(NoAnswer):  # too early for another try
                far.infer(given)
            seconds[0] = 20.0
            until_s = time.monotonic() + 60
            while True:
                try:
                    again = far.infer(given).logits
                    break
                except NoAnswer:
                    assert time.monotonic() < until_s
                    seconds[0] += 20.0
            np.testing.assert_allclose(again, wanted, rtol=1e-4, atol=1e-5)
            assert "is back after" in far.notice()
        server.kill()

    def test_the_fallback_takes_over(self, python, tmp_path):
        server = Server(python, tmp_path)
        server.start()
        reports: list[str] = []
        settings = ServerSettings(server.address, model="served", deadline_s=20.0, fallback="onnxruntime")
        with open_runtime(bundle(), "inference-server", report=reports.append, server=settings) as runtime:
            server.kill()
            logits = runtime.infer(clips(1)).logits
            assert runtime.name == "onnxruntime"
        assert reports[-1] == "onnxruntime has taken over"
        with open_runtime(bundle(), "onnxruntime") as near:
            np.testing.assert_array_equal(logits, near.infer(clips(1)).logits)
