"""Who may connect: CURVE key pairs and their files, a session's token, and the authenticator that checks both."""

from __future__ import annotations

import hmac
import os
import re
import secrets
import struct
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import msgspec
import zmq
import zmq.utils.monitor
import zmq.utils.z85

from engines.common.errors import BadInput
from engines.common.new_files import NewFiles
from realtime.counts import Counts

SERVER_FILE = "server.key"
LISTENERS, CAMERAS = "clients", "cameras"  # folders of allow-lists: who may read the event stream, who may send frames
HANDSHAKE_MS = 5000  # a connection that has not shown its key by then is closed
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_Z85 = re.compile(r"[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")
_MAX_FILE_BYTES = 4096
_REFUSALS = {
    zmq.Event.HANDSHAKE_FAILED_AUTH: "key",  # a key that is not on the list, a wrong token
    zmq.Event.HANDSHAKE_FAILED_PROTOCOL: "protocol",  # no key, a wrong server key, a message that was tampered with
    zmq.Event.HANDSHAKE_FAILED_NO_DETAIL: "handshake",  # went away, or never came to the point
}


class KeyPair(msgspec.Struct, frozen=True):
    """One side's CURVE keys, Z85 text of 40 characters each. The secret is kept out of `repr`."""

    public: str
    secret: str

    @classmethod
    def new(cls) -> KeyPair:
        public, secret = zmq.curve_keypair()
        return cls(public.decode(), secret.decode())

    def __repr__(self) -> str:
        return f"KeyPair({self.public!r})"


class ClientKeys(msgspec.Struct, frozen=True, tag="curve"):
    """What a client needs: its own keys and the server's public one."""

    own: KeyPair
    server: str

    def apply(self, socket: zmq.Socket[bytes]) -> None:
        """Before it connects."""
        socket.curve_serverkey = self.server.encode()
        socket.curve_publickey = self.own.public.encode()
        socket.curve_secretkey = self.own.secret.encode()


Keys = TypeVar("Keys", KeyPair, ClientKeys)


class ServerKeys(msgspec.Struct, frozen=True, tag="curve"):
    """What a server needs: its own keys and the public ones of those it lets in."""

    own: KeyPair
    allowed: tuple[str, ...]


class Token(msgspec.Struct, frozen=True, tag="token"):
    """A secret that both ends of an ipc socket in a private folder know: who does not is refused.

    Nothing is encrypted. Only the folder's owner can reach the socket, and who can read that user's processes needs no
    socket. CURVE makes the wire three to five times slower (`benchmarks/transport.py`).
    """

    secret: str

    @classmethod
    def new(cls) -> Token:
        return cls(secrets.token_hex(32))

    def __repr__(self) -> str:
        return "Token(...)"

    def apply(self, socket: zmq.Socket[bytes]) -> None:
        """Before it connects. ZeroMQ's PLAIN mechanism, the token as its password."""
        socket.plain_username = b"capture"
        socket.plain_password = self.secret.encode()


def new_link() -> tuple[ServerKeys, ClientKeys]:
    """Keys for one server and one client that nobody else will ever know."""
    server, client = KeyPair.new(), KeyPair.new()
    return ServerKeys(server, (client.public,)), ClientKeys(client, server.public)


def link_keys(endpoint: str) -> tuple[ServerKeys | Token, ClientKeys | Token]:
    """What the two ends of a session's own socket need: a token on ipc in a private folder, CURVE elsewhere."""
    if endpoint.startswith("ipc://"):
        token = Token.new()
        return token, token
    return new_link()


class Authenticator:
    """Guards one bound socket: only clients with the token, or whose keys are on the list, get in; others are counted.

    Use it before the socket binds; `close` it before the socket's context ends. One per context.

    `zmq.auth.ThreadAuthenticator` does not count, logs passwords, and names a user in its replies: of a socket with a
    queue of one message, libzmq then delivers nothing (pyzmq 27.3; a test sends 300 frames).
    """

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], socket: zmq.Socket[bytes], keys: ServerKeys | Token
    ) -> None:
        self._guarded = socket
        if isinstance(keys, Token):
            self._mechanism, self._allowed = b"PLAIN", {keys.secret.encode()}
            socket.plain_server = True
        else:
            self._mechanism, self._allowed = b"CURVE", {zmq.utils.z85.decode(key.encode()) for key in keys.allowed}
            socket.curve_secretkey = keys.own.secret.encode()
            socket.curve_publickey = keys.own.public.encode()
            socket.curve_server = True
        socket.handshake_ivl = HANDSHAKE_MS
        self._questions = context.socket(zmq.REP)  # libzmq asks here about every key (ZAP, RFC 27)
        self._questions.bind("inproc://zeromq.zap.01")
        self._events = socket.get_monitor_socket(sum(_REFUSALS) | zmq.Event.MONITOR_STOPPED)
        self.refused = Counts()  # connections, by cause
        self._thread = threading.Thread(target=self._run, name="authenticator", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Nobody gets in from here on. Harmless when it is closed."""
        if self._thread.is_alive():
            self._guarded.disable_monitor()
            self._thread.join()
            self._events.close(linger=0)
            self._questions.close(linger=0)

    def _run(self) -> None:
        poller = zmq.Poller()
        poller.register(self._questions, zmq.POLLIN)
        poller.register(self._events, zmq.POLLIN)
        while True:
            ready = dict(poller.poll())
            if self._events in ready:
                event = zmq.utils.monitor.parse_monitor_message(self._events.recv_multipart())["event"]
                if event == zmq.Event.MONITOR_STOPPED:
                    return
                self.refused.add(_REFUSALS[zmq.Event(event)])
            if self._questions in ready:
                self._questions.send_multipart(self._reply(self._questions.recv_multipart()))

    def _reply(self, request: list[bytes]) -> list[bytes]:
        """To (version, id, domain, address, identity, mechanism, credentials ...); the last credential counts."""
        known = (
            len(request) >= 7
            and request[5] == self._mechanism
            and any(hmac.compare_digest(request[-1], one) for one in self._allowed)
        )
        status = [b"200", b"OK"] if known else [b"400", b"not on the list"]
        return [b"1.0", request[1] if len(request) > 1 else b"", *status, b"", b""]


def make_keys(folder: Path, clients: Iterable[str], cameras: Iterable[str] = ()) -> list[Path]:
    """Make the server's keys where there are none yet, and keys for others. Every file is the owner's alone.

    Args:
        folder: `server.key`, the allow-lists `clients/NAME.pub` and `cameras/NAME.pub`, and `NAME.key` (to hand to
            NAME) go there.
        clients: who may read the event stream.
        cameras: which machines may send frames.

    Returns:
        The files that were made.

    Raises:
        BadInput: a name that is taken or invalid, or the folder cannot be written.
    """
    names = [(name, LISTENERS) for name in clients] + [(name, CAMERAS) for name in cameras]
    for name, _ in names:
        if not _NAME.fullmatch(name) or f"{name}.key" == SERVER_FILE:
            raise BadInput("a client's name of letters, digits, - and _", repr(name), "choose another")
        taken = (f"{name}.key", f"{LISTENERS}/{name}.pub", f"{CAMERAS}/{name}.pub")
        if any(os.path.lexists(folder / path) for path in taken):
            raise BadInput("a new client's name", f"{name}, which has keys in {folder}", "keys are never overwritten")
    try:
        with NewFiles() as made:
            for each in (folder, folder / LISTENERS, folder / CAMERAS):
                made.folder(each, 0o700)
            written = _write_keys(folder, names, made)
            made.keep()
    except OSError as error:
        raise BadInput(
            "a folder for keys that can be written", f"{folder} ({error.strerror})", "name another"
        ) from None
    return written


def _write_keys(folder: Path, names: list[tuple[str, str]], made: NewFiles) -> list[Path]:
    """names: with the allow-list of each. Raises BadInput or OSError; what was written by then is in `made`."""
    files: list[tuple[Path, bytes]] = []
    if os.path.lexists(folder / SERVER_FILE):
        server = _read_pair(folder)
    else:
        server = KeyPair.new()
        files.append((folder / SERVER_FILE, msgspec.json.encode(server)))
    for name, allow_list in names:
        keys = ClientKeys(KeyPair.new(), server.public)
        files += [
            (folder / allow_list / f"{name}.pub", keys.own.public.encode()),
            (folder / f"{name}.key", msgspec.json.encode(keys)),
        ]
    for path, data in files:
        made.write(path, data + b"\n", 0o600)
    return [path for path, _ in files]


def load_keys(folder: Path, allow_list: str = LISTENERS) -> ServerKeys:
    """The server's keys and one of its allow-lists.

    Raises:
        BadInput: none there, not keys, nobody on the list, or readable by others than the owner.
    """
    own = _read_pair(folder)
    allowed = []
    for path in sorted((folder / allow_list).glob("*.pub")):
        try:
            key = _read(path).decode(errors="replace").strip()
        except OSError as error:
            raise BadInput(
                "a public key that can be read", f"{path} ({error.strerror})", "make it with `keys`"
            ) from None
        if not _is_key(key):
            raise BadInput("a public key of 40 Z85 characters", f"something else in {path}", "make it with `keys`")
        allowed.append(key)
    if not allowed:
        option = "--client" if allow_list == LISTENERS else "--camera"
        raise BadInput(
            "at least one client on the allow-list",
            f"none in {folder / allow_list}",
            f"make one with `keys {folder} {option} NAME`",
        )
    return ServerKeys(own, tuple(allowed))


def load_client_keys(path: Path) -> ClientKeys:
    """The key file that `keys DIR --camera NAME` made.

    Raises:
        BadInput: none there, not keys, or readable by others than the owner.
    """
    try:
        keys = _read_secret(path, ClientKeys)
    except OSError as error:
        raise BadInput(
            "a camera's key file",
            f"{path} ({error.strerror})",
            "make it on the analysis machine with `keys DIR --camera NAME`",
        ) from None
    if keys is None or not (_is_pair(keys.own) and _is_key(keys.server)):
        raise BadInput("a key file as `keys DIR --camera NAME` makes it", str(path), "copy it anew")
    return keys


def _read_pair(folder: Path) -> KeyPair:
    path = folder / SERVER_FILE
    try:
        pair = _read_secret(path, KeyPair)
    except OSError as error:
        raise BadInput("a folder with keys", f"{path} ({error.strerror})", f"make them with `keys {folder}`") from None
    if pair is None or not _is_pair(pair):
        raise BadInput("a key file as `keys` makes it", str(path), "make new keys in another folder")
    return pair


def _read_secret(path: Path, kind: type[Keys]) -> Keys | None:
    """What a file with a secret holds; None where that is something else.

    Raises:
        BadInput: others than its owner can read it.
        OSError: it cannot be read.
    """
    data = _read(path)
    if os.name == "posix" and path.stat().st_mode & 0o077:
        raise BadInput(
            "a key file that its owner alone can read",
            f"{path}, open to others",
            f"`chmod 600 {path}`, and make new keys if others may have read it",
        )
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _read(path: Path) -> bytes:
    """No more of it than the longest key file could hold. Raises OSError."""
    with path.open("rb") as file:
        return file.read(_MAX_FILE_BYTES)


def _is_key(text: str) -> bool:
    """Z85 of 32 bytes; of the alphabet alone some five characters say more than four bytes can hold."""
    try:
        return bool(_Z85.fullmatch(text)) and len(zmq.utils.z85.decode(text.encode())) == 32
    except struct.error:
        return False


def _is_pair(pair: KeyPair) -> bool:
    """Two keys that belong together."""
    return (
        _is_key(pair.public)
        and _is_key(pair.secret)
        and (zmq.curve_public(pair.secret.encode()) == pair.public.encode())
    )
