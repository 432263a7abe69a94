from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from engines import fetch as fetching
from engines.__main__ import main
from engines.bundle import Bundle
from engines.common.digest import digest_file
from engines.export.weights import read_network
from engines.fetch import PUBLISHED, Published
from engines.networks.pretrained import write_checkpoint
from engines.networks.registry import build, make_spec

pytestmark = pytest.mark.slow

SETTINGS = ("depth=18", "width=8", "size=32", "length=4")


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Published]:
    """A small checkpoint in the official layout on a real server."""
    served = tmp_path / "served"
    served.mkdir()
    torch.manual_seed(0)
    write_checkpoint(build(make_spec("manet", SETTINGS)), "official", served / "epoch_40.pth")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(served)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}/epoch_40.pth"
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(fetching, "folder", lambda: tmp_path / "cache")
    one = Published(url, "manet", "For tests.", digest_file(served / "epoch_40.pth"), SETTINGS)
    monkeypatch.setitem(PUBLISHED, "manet", one)
    yield one
    server.shutdown()
    server.server_close()


@pytest.mark.long
def test_weights_are_fetched_once_and_imported(
    published: Published, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fetch", "manet", "--out", str(tmp_path / "manet")]) == 0
    assert "For tests." in capsys.readouterr().err
    card = Bundle.load(tmp_path / "manet").card
    assert card.trained
    assert (card.provenance.source, card.provenance.source_sha256) == ("epoch_40.pth", published.sha256)
    torch.manual_seed(0)
    wanted = build(make_spec("manet", SETTINGS)).state_dict()
    got = read_network(Bundle.load(tmp_path / "manet")).state_dict()
    assert torch.equal(got["classifier.weight"], wanted["classifier.weight"])
    fetched = (tmp_path / "cache" / "epoch_40.pth").stat().st_mtime_ns
    assert fetching.fetch(published).stat().st_mtime_ns == fetched


def test_what_cannot_be_had_is_named_with_the_place_to_put_it(
    published: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = published._replace(url=published.url.replace("40", "41"))
    other = published._replace(sha256="0" * 64)
    for one in (missing, other):
        monkeypatch.setitem(PUBLISHED, "manet", one)
        assert main(["fetch", "manet", "--out", str(tmp_path / "manet")]) == 2
        line = capsys.readouterr().err.strip().splitlines()[-1]
        assert line.startswith(f"manet-live: error: expected to fetch {one.url}, got ")
        assert line.endswith(f"put it at {tmp_path}/cache/{one.name}, and repeat the command")
        assert not (tmp_path / "manet").exists()
        assert not (tmp_path / "cache" / one.name).exists()


def test_the_official_weights_are_the_released_file() -> None:
    import engines.fetch

    assert engines.fetch.PUBLISHED["manet"].name == "best_top1_acc_epoch_40.pth"
