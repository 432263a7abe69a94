"""Windows judged by a real server of the Open Inference Protocol."""

import threading
import time

import numpy as np
import pytest

from engines.common.errors import BadInput
from engines.runtimes import NoAnswer, RuntimeFailed, ServerSettings, open_runtime
from engines.runtimes.inference_server import InferenceServer, check_address
from tests.conftest import manet_live
from tests.engines.runtimes.serving import Gate, Link, Server, bundle
from tests.realtime.sessions import EVENTFUL

real_server = [pytest.mark.cluster, pytest.mark.timeout(1200)]


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
        asked = len(server.batches("emotions"))
        far = manet_live(*common, "--engine", "inference-server", "--server", server.address, timeout=400)
        near = manet_live(*common, "--engine", "onnxruntime", timeout=400)
        assert (far.code, near.code) == (0, 0), far.err
        assert far.action_text == near.action_text
        assert len(far.of("action")) >= 20
        assert far.of("session")[0]["engine"] == "inference-server"
        assert len(server.batches("emotions")) > asked  # it goes by its own name
        assert "network" in far.of("stats")[-1]["latency_ms"]
        assert "compute" not in far.of("stats")[-1]["latency_ms"]

    @pytest.mark.parametrize(("model", "version"), [("another", ""), ("served", "7")])
    def test_another_model_or_version_is_one_line(self, server, model, version):
        settings = ServerSettings(server.address, model=model, version=version)
        with pytest.raises(BadInput, match=f"expected the model {model} ?{version} at inference-server"):
            open_runtime(bundle(), "inference-server", server=settings)

    def test_other_weights_under_a_name_are_refused(self, server):
        settings = ServerSettings(server.address, model="other")  # of the same inputs
        with pytest.raises(RuntimeFailed, match="differs from the reference logits"):
            open_runtime(bundle(), "inference-server", server=settings)

    def test_a_proxy_in_front_asks_for_its_token(self, server, tmp_path):
        gate = Gate(server.port, tmp_path, "open sesame")
        token = tmp_path / "token"
        token.write_text("open sesame\n")
        common = {"model": "served", "tls": True, "token_file": str(token), "deadline_s": 30.0}
        trusted = ServerSettings(gate.address, ca_file=str(gate.certificate), **common)
        try:
            with (
                open_runtime(bundle(), "inference-server", server=trusted) as far,
                open_runtime(bundle(), "onnxruntime") as near,
            ):
                np.testing.assert_allclose(far.infer(clips(1)).logits, near.infer(clips(1)).logits, 1e-4, 1e-5)
            token.write_text("open barley\n")
            with pytest.raises(BadInput, match=r"expected to be let in at inference-server localhost.*token_file"):
                open_runtime(bundle(), "inference-server", server=trusted)
            token.write_text("open sesame\n")
            with pytest.raises(BadInput, match="expected an inference server at localhost"):  # of unknown certificate
                open_runtime(bundle(), "inference-server", server=ServerSettings(gate.address, **common))
        finally:
            gate.close()

    def test_rooms_share_its_batches(self, server):
        before = len(server.batches())
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
        assert max(server.batches()[before:]) > 1  # windows of several rooms went through together
        means = [float(np.mean(one)) for one in took]
        assert max(means) < 3 * min(means)  # none waits for the others

    def test_a_slow_network_is_a_counted_skip(self, server):
        slow = Link(server.port, 20e6)
        try:
            settings = ServerSettings(slow.address, model="served", deadline_s=30.0)
            far = InferenceServer(bundle(), settings)
            with far:
                before = slow.sent
                far.infer(clips(1))
                assert clips(1).nbytes < slow.sent - before < 1.01 * clips(1).nbytes  # 301 kB, as the docs state
                slow.bytes_per_s = 50e3  # 300 kB of pixels take 6 s now
                far._settings = ServerSettings(settings.address, model="served", deadline_s=0.5)
                with pytest.raises(NoAnswer, match="did not answer in time") as late:
                    far.infer(clips(1))
                assert late.value.cause == "deadline"
                assert far.notice() == ""  # it is not lost
        finally:
            slow.close()

    def test_killed_and_started_again(self, server_python, tmp_path):
        server = Server(server_python, tmp_path)
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

    def test_the_fallback_takes_over(self, server_python, tmp_path):
        server = Server(server_python, tmp_path)
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
