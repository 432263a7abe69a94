"""A maker's store on this machine, and an empty model folder."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from realtime.capture.mediapipe import process as mediapipe_process

CONTENT = b"a model" * 1000


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty model folder, and a pip that sees only the folder `wheels`; nothing of what an earlier test blocked."""
    (tmp_path / "wheels").mkdir()
    monkeypatch.setattr(mediapipe_process, "_before", {})
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MANET_LIVE_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm"))
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    return tmp_path / "models"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that a maker's store serves; `STORE` is where."""
    shown = tmp_path_factory.mktemp("store")
    made = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=shown))
    threading.Thread(target=made.serve_forever, daemon=True).start()
    STORE[0] = f"http://127.0.0.1:{made.server_address[1]}"
    yield shown
    made.shutdown()
    made.server_close()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing."""


STORE = [""]
