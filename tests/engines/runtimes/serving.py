"""A real server of the Open Inference Protocol (MLServer, in an environment of its own), and what lies before it."""

import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from engines.bundle import Bundle, find
from engines.common.errors import BadInput
from engines.runtimes import ServerSettings, open_runtime
from tests.realtime.sessions import free_port

MODELS = {
    "served": "untrained-small",
    "emotions": "emotions",
    "other": "landmarks-small",
}  # name there → bundle


def bundle() -> Bundle:
    return Bundle.load(find("untrained-small"))


class Server:
    """MLServer with the shipped untrained model, under the name `served`, and two others; all of version 1."""

    def __init__(self, python: Path, folder: Path, models: Mapping[str, str] = MODELS) -> None:
        self._command = [str(python.with_name("mlserver")), "start", str(folder)]
        self._folder, self.port = folder, free_port()
        shutil.copy(Path(__file__).with_name("served_onnx.py"), folder)
        ports = {"grpc_port": self.port, "http_port": free_port(), "metrics_port": free_port()}
        settings = {"host": "127.0.0.1", "parallel_workers": 0, **ports}
        (folder / "settings.json").write_text(json.dumps(settings))
        self._name, self._bundle = next(iter(models.items()))
        for name, of in models.items():
            home = folder / name
            home.mkdir()
            shutil.copy(find(of) / "model.onnx", home)
            parameters = {"uri": str(home / "model.onnx"), "version": "1"}
            batching = {"max_batch_size": 8, "max_batch_time": 0.05}
            model = {"name": name, "implementation": "served_onnx.OnnxModel", "parameters": parameters, **batching}
            (home / "model-settings.json").write_text(json.dumps(model))

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        environment = {**os.environ, "PYTHONPATH": str(self._folder)}
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command, env=environment, stdout=log, stderr=log)
        settings, model = ServerSettings(self.address, model=self._name), Bundle.load(find(self._bundle))
        until_s = time.monotonic() + 240
        while True:
            try:
                with open_runtime(model, "inference-server", server=settings):
                    return
            except BadInput:
                if time.monotonic() > until_s:
                    raise
                time.sleep(0.5)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def batches(self, model: str = "served") -> list[int]:
        log = self._folder / model / "batches"
        return list(map(int, log.read_text().split())) if log.exists() else []


class Link:
    """A network on loopback that lets so many bytes a second through, each way, and counts them.

    Attributes:
        sent: bytes towards the server.
    """

    def __init__(self, port: int, bytes_per_s: float) -> None:
        self._target, self.bytes_per_s, self.sent = port, bytes_per_s, 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def _accept(self) -> None:
        while True:
            try:
                here, _ = self._listener.accept()
                there = socket.create_connection(("127.0.0.1", self._target))
            except ConnectionError:
                here.close()
                continue
            except OSError:
                return
            for one, other, counted in ((here, there, True), (there, here, False)):
                threading.Thread(target=self._pass_on, args=(one, other, counted), daemon=True).start()

    def _pass_on(self, one: socket.socket, other: socket.socket, counted: bool) -> None:
        try:
            while data := one.recv(16384):
                self.sent += counted * len(data)
                other.sendall(data)
                time.sleep(len(data) / self.bytes_per_s)
        except OSError:
            pass
        for end in (one, other):
            end.close()

    def close(self) -> None:
        self._listener.close()


class Gate:
    """A proxy in front of a server: encrypted, with a certificate of its own, open to one token alone."""

    def __init__(self, port: int, folder: Path, token: str) -> None:
        import grpc

        names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem")]
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names, *files]
        subprocess.run(command, check=True, capture_output=True)
        self.certificate, self._grpc, self._token = folder / "certificate.pem", grpc, token
        pair = (folder / "key.pem").read_bytes(), self.certificate.read_bytes()
        self._behind = grpc.insecure_channel(f"127.0.0.1:{port}", [("grpc.max_send_message_length", -1)])
        options = [("grpc.max_receive_message_length", -1)]
        self._server = grpc.server(ThreadPoolExecutor(4), [self], options=options)
        self.address = f"localhost:{self._server.add_secure_port('localhost:0', grpc.ssl_server_credentials([pair]))}"
        self._server.start()

    def service(self, details):
        """Of `grpc.GenericRpcHandler`: bytes in, bytes out."""
        given = dict(details.invocation_metadata).get("authorization")

        def pass_on(request: bytes, context) -> bytes:
            if given != f"Bearer {self._token}":
                context.abort(self._grpc.StatusCode.UNAUTHENTICATED, "this token opens nothing")
            try:
                return self._behind.unary_unary(details.method)(request, timeout=30)
            except self._grpc.RpcError as error:
                context.abort(error.code(), error.details())

        return self._grpc.unary_unary_rpc_method_handler(pass_on)

    def close(self) -> None:
        self._server.stop(None)
        self._behind.close()
