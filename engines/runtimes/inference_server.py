"""A server that speaks the Open Inference Protocol (KServe v2) over gRPC: Triton, OpenVINO Model Server, MLServer.

Windows of many sessions meet there, and the server may put them into batches. A window has a deadline: one that gets
no answer in time, or falls into a time without a server, raises `NoAnswer`, which a live session counts as skipped.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from engines.bundle import Bundle
from engines.common.errors import BadInput
from engines.runtimes.base import Inputs, NoAnswer, Outputs, Runtime, RuntimeFailed, first_line
from engines.runtimes.parity import compare_with_reference

START_S = 30.0  # for each reference window: a server may load the model, or warm up, with the first one
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 10.0  # before another try to reach a lost server; each is twice the last
DEADLINE, LOST = "deadline", "server"  # causes of skipped windows
REFUSED = ("UNAUTHENTICATED", "PERMISSION_DENIED")
UNKNOWN = ("NOT_FOUND", "INVALID_ARGUMENT", "UNIMPLEMENTED", "FAILED_PRECONDITION")


class ServerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An inference server and how it is asked."""

    address: Annotated[str | None, Meta(description="HOST:PORT of its gRPC endpoint")] = None
    tls: Annotated[bool, Meta(description="encrypt; other hosts are asked no other way")] = False
    ca_file: Annotated[str | None, Meta(description="certificates to trust, PEM; none: the system's")] = None
    token_file: Annotated[str | None, Meta(description="its first line is sent as bearer token")] = None
    model: Annotated[str | None, Meta(description="name of the action model there; none: the bundle's")] = None
    version: Annotated[str, Meta(description="of the action model there; empty: the server's choice")] = ""
    deadline_s: Annotated[
        float, Meta(ge=0.01, le=60.0, description="a window without an answer for so long is skipped")
    ] = 1.0
    fallback: Annotated[str | None, Meta(description="runtime that takes over when the server is lost")] = None


class InferenceServer(Runtime):
    """Asks a server. The models must be the bundle's: parity is checked at the start and whenever it was lost.

    Args:
        now: the clock that waits are measured on, s.
    """

    name = "inference-server"
    may_be_lost = remote = True
    modules = ("tritonclient", "grpc")
    distributions = ("tritonclient",)
    install = 'pip install "manet-live[remote]"'

    def __init__(self, bundle: Bundle, settings: ServerSettings, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__(bundle)
        self._settings, self._now = settings, now
        named = bundle.card.task == "actions"  # an emotion model beside it goes by its bundle's name
        self._model = (settings.model if named else None) or bundle.card.name
        self._version = settings.version if named else ""
        self._client: Any = None
        self._headers: Mapping[str, str] | None = None
        self._wait_s, self._retry_at_s = FIRST_WAIT_S, 0.0
        self._lost_at_s: float | None = None
        self._notice = ""

    def notice(self) -> str:
        notice, self._notice = self._notice, ""
        return notice

    def _activate(self) -> None:
        import tritonclient.grpc as protocol

        settings = self._settings
        address = check_address(settings)
        self._headers = _headers(settings)
        certificates = None if settings.ca_file is None else str(_existing(settings.ca_file, "server.ca_file"))
        options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        options += [("grpc.max_reconnect_backoff_ms", 1000)]
        self._client = protocol.InferenceServerClient(
            address, ssl=settings.tls, root_certificates=certificates, channel_args=options
        )
        try:
            self._verify(START_S)
        except NoAnswer as error:
            fix = "start it, or give another --server"
            raise BadInput(f"an inference server at {address}", str(error), fix) from None

    def _verify(self, deadline_s: float) -> None:
        """Its model gives the reference logits. Raises NoAnswer, BadInput or ParityMismatch."""
        reference = self.bundle.reference_arrays()
        rows = [
            self._ask({name: array[at : at + 1] for name, array in reference.inputs.items()}, deadline_s)
            for at in range(len(reference))
        ]
        outputs = {name: np.concatenate([row[name] for row in rows]) for name in reference.outputs}
        compare_with_reference(self.bundle, f"{self.name} {self._settings.address}", outputs)

    def _run(self, inputs: Inputs) -> Outputs:
        if self._lost_at_s is not None:
            self._reconnect()
        try:
            return self._ask(inputs, self._settings.deadline_s)
        except (NoAnswer, BadInput) as error:
            if isinstance(error, NoAnswer) and error.cause == DEADLINE:
                raise
            raise self._lose(error) from None  # a server that has begun anew may not have its models yet

    def _reconnect(self) -> None:
        """Try it again, unless it is too early. Raises NoAnswer: it is still lost."""
        if self._now() < self._retry_at_s:
            raise NoAnswer(f"{self.name} {self._settings.address} is lost", LOST)
        try:
            self._ask_if_ready()
            self._verify(self._settings.deadline_s)
        except (NoAnswer, BadInput) as error:
            raise self._lose(error) from None
        gone_s = self._now() - (self._lost_at_s or 0.0)
        self._notice = f"{self.name} {self._settings.address} is back after {gone_s:.1f} s"
        self._lost_at_s, self._wait_s = None, FIRST_WAIT_S

    def _lose(self, error: Exception) -> NoAnswer:
        if self._lost_at_s is None:
            self._lost_at_s = self._now()
            self._notice = f"{error}; windows are skipped until it is back"
        self._retry_at_s = self._now() + self._wait_s
        self._wait_s = min(2 * self._wait_s, LONGEST_WAIT_S)
        return NoAnswer(str(error), LOST)

    def _ask_if_ready(self) -> None:
        """Raises NoAnswer: it is not, within the deadline: the live path must not wait for longer."""
        try:
            ready = self._client.is_model_ready(
                self._model, self._version, headers=self._headers, client_timeout=self._settings.deadline_s
            )
        except Exception as error:  # noqa: BLE001 - as in `_ask`
            raise self._no_answer(error) from None
        if not ready:
            raise NoAnswer(f"{self.name} {self._settings.address} has not loaded {self._model} yet", LOST)

    def _ask(self, inputs: Inputs, deadline_s: float) -> Outputs:
        """Raises NoAnswer, BadInput where it knows no such model or lets us not in, RuntimeFailed for the rest."""
        import tritonclient.grpc as protocol
        from tritonclient.utils import np_to_triton_dtype

        given = []
        for name, array in inputs.items():
            tensor = protocol.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
            tensor.set_data_from_numpy(array)
            given.append(tensor)
        names = list(self.bundle.card.network.outputs)
        try:
            answer = self._client.infer(
                self._model,
                given,
                self._version,
                [protocol.InferRequestedOutput(name) for name in names],
                headers=self._headers,
                client_timeout=deadline_s,
            )
        except Exception as error:  # noqa: BLE001 - the client's own and gRPC's
            raise self._no_answer(error) from None
        outputs = {name: answer.as_numpy(name) for name in names}
        missing = [name for name, array in outputs.items() if array is None]
        if missing:
            raise RuntimeFailed(f"{self.name} {self._settings.address} gave no {', '.join(missing)}")
        return outputs

    def _no_answer(self, error: Exception) -> Exception:
        """What the client's error means here."""
        where, status = f"{self.name} {self._settings.address}", str(getattr(error, "status", lambda: "")() or "")
        line = first_line(error)
        if "DEADLINE_EXCEEDED" in status:
            return NoAnswer(f"{where} did not answer in time", DEADLINE)
        if any(one in status for one in REFUSED):
            return BadInput(f"to be let in at {where}", line, "check server.token_file")
        if any(one in status for one in UNKNOWN):
            model = f"{self._model} {self._version}".strip()
            return BadInput(
                f"the model {model} at {where}", line, "`python -m engines repository` makes what it serves"
            )
        return NoAnswer(f"{where} is lost: {line}", LOST)

    def _close(self) -> None:
        self._client.close()
        self._client = None


def check_address(settings: ServerSettings) -> str:
    """Nothing leaves this machine in the clear. Raises BadInput: none, no HOST:PORT, or another host without TLS."""
    address = settings.address
    if address is None:
        raise BadInput("--server HOST:PORT for the inference server", "none", "give one")
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 1 << 16:
        raise BadInput("--server HOST:PORT", repr(address), "such as localhost:8001")
    try:
        local = host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        local = False
    if not local and not settings.tls:
        raise BadInput("an encrypted connection to another host", f"{address} without TLS", "set server.tls = true")
    return address


def _headers(settings: ServerSettings) -> dict[str, str] | None:
    if settings.token_file is None:
        return None
    lines = _existing(settings.token_file, "server.token_file").read_text(encoding="utf-8").splitlines()
    if not lines or not lines[0].strip():
        raise BadInput("a token in the first line of server.token_file", settings.token_file, "write it there")
    return {"authorization": f"Bearer {lines[0].strip()}"}


def _existing(path: str, key: str) -> Path:
    if not Path(path).is_file():
        raise BadInput(f"a file for {key}", path, "check the path")
    return Path(path)
