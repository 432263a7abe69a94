"""Keys, settings, names and options as they should not be: they work, or are refused with one line."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from engines.common.errors import BadInput
from realtime.config import load
from realtime.transport.authentication import load_client_keys, load_keys, make_keys
from realtime.transport.ipc_paths import LONGEST_PATH, private_folder
from tests.conftest import ROOT, manet_live, refused

pytestmark = pytest.mark.slow

NOT_KEYS = {
    "not text": b"\xff\xfe\x00junk",
    "a missing field": b'{"public": "%s"}' % (b"a" * 40),
    "too short": b'{"public": "%s", "secret": "%s"}' % (b"a" * 39, b"a" * 40),
    "more than four bytes hold": b'{"public": "%s", "secret": "%s"}' % (b"#" * 40, b"#" * 40),
    "keys of two pairs": b'{"public": "%s", "secret": "%s"}' % (b"a" * 40, b"b" * 40),
    "brackets without end": b"[" * 100_000,
    "nothing": b"",
}


@pytest.mark.parametrize("data", NOT_KEYS.values(), ids=NOT_KEYS)
def test_malformed_keys_are_one_line(tmp_path, data):
    make_keys(tmp_path, ["lab"], ["desk"])
    server, desk = tmp_path / "server.key", tmp_path / "desk.key"
    public = json.loads(server.read_bytes())["public"].encode()
    server.write_bytes(data)
    with pytest.raises(BadInput) as caught:
        load_keys(tmp_path)
    assert str(caught.value) == f"expected a key file as `keys` makes it, got {server}; make new keys in another folder"
    desk.write_bytes(b'{"type": "curve", "own": %s, "server": "%s"}' % (data, public))
    with pytest.raises(BadInput) as caught:
        load_client_keys(desk)
    assert str(caught.value) == (f"expected a key file as `keys DIR --camera NAME` makes it, got {desk}; copy it anew")


def test_a_camera_key_that_others_can_read_or_whose_server_is_no_key(tmp_path):
    make_keys(tmp_path, [], ["desk"])
    desk = tmp_path / "desk.key"
    assert load_client_keys(desk).own.public == (tmp_path / "cameras" / "desk.pub").read_text().strip()
    desk.chmod(0o640)
    assert refused("capture", "--connect", "127.0.0.1:5570", "--key", desk, "--demo").endswith(
        f"expected a key file that its owner alone can read, got {desk}, open to others; "
        f"`chmod 600 {desk}`, and make new keys if others may have read it"
    )
    desk.chmod(0o600)
    text = desk.read_text()
    desk.write_text(text.replace(json.loads(text)["server"], "#" * 40))
    with pytest.raises(BadInput, match="copy it anew"):
        load_client_keys(desk)


def test_an_allow_list_with_something_else_in_it(tmp_path):
    make_keys(tmp_path, ["lab"])
    (tmp_path / "clients" / "folder.pub").mkdir()
    with pytest.raises(BadInput, match=r"a public key that can be read, got .*folder.pub \(Is a directory\)"):
        load_keys(tmp_path)
    (tmp_path / "clients" / "folder.pub").rmdir()
    (tmp_path / "clients" / "large.pub").write_text("#" * 40)
    with pytest.raises(BadInput, match=r"a public key of 40 Z85 characters, got something else in .*large.pub"):
        load_keys(tmp_path)


SETTINGS = "[window]\nhop_s = 0.5  # caf\u00e9\n"
ENCODED = {
    "BOM": SETTINGS.encode("utf-8-sig"),
    "UTF-16 LE": b"\xff\xfe" + SETTINGS.encode("utf-16-le"),
    "UTF-16 BE": b"\xfe\xff" + SETTINGS.encode("utf-16-be"),
    "CRLF": SETTINGS.replace("\n", "\r\n").encode(),
}
NOT_SETTINGS = {
    "Latin-1": (SETTINGS.encode("latin-1"), "a TOML file in UTF-8"),
    "UTF-16 without a mark": (SETTINGS.encode("utf-16-le"), "a TOML file in UTF-8"),
    "half a UTF-16 character": (b"\xff\xfea", "a TOML file in UTF-8"),
    "brackets without end": (b"a = " + b"[" * 100_000, "a TOML file"),
    "a number of 5000 digits": (b"a = " + b"9" * 5000, "a TOML file"),
    "a zero in a path": (b'[output]\nkeys = "a\\u0000b"', "text without zero characters"),
    "too large": (b"#" * (1 << 20) + b"\n", "a configuration file"),
}


@pytest.mark.parametrize("data", ENCODED.values(), ids=ENCODED)
def test_a_configuration_in_other_encodings_works(tmp_path, data):
    (tmp_path / "settings.toml").write_bytes(data)
    assert load(tmp_path / "settings.toml").window.hop_s == 0.5


@pytest.mark.parametrize(("data", "expected"), NOT_SETTINGS.values(), ids=NOT_SETTINGS)
def test_a_configuration_that_is_none_is_one_line(tmp_path, data, expected):
    (tmp_path / "settings.toml").write_bytes(data)
    with pytest.raises(BadInput, match=f"^expected {expected}, got .*settings.toml"):
        load(tmp_path / "settings.toml")
    with pytest.raises(BadInput, match=r"\(Is a directory\)"):
        load(tmp_path)


def test_the_handed_configuration_with_a_mark_works():
    path = ROOT.parent / "shared" / "data" / "odd_recordings" / "bom.toml"
    if not path.exists():
        pytest.skip("the shared recordings are not here")
    done = manet_live("live", "--config", path, "--print-config")
    assert (done.code, done.err) == (0, "")


LATIN = b"caf\xe9"  # a name in Latin-1: no UTF-8
FAST = ("--headless", "--no-emotion", "--speed", "max", "--engine", "onnxruntime", "--model", "untrained-small")

JUDGED = "manet-live: judged {0} of {0} windows\n"  # what a session without a fault says


@pytest.fixture
def odd_folder(tmp_path) -> Path:
    """A folder whose name is no UTF-8; without a file system that takes it the test is skipped."""
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + LATIN))
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this file system takes names in UTF-8 alone")
    return folder


def test_names_may_be_any_bytes(recording, odd_folder):
    film = odd_folder / os.fsdecode(LATIN + b"\n\x1b[31m.mp4")
    film.symlink_to(recording)
    settings = odd_folder / "settings.toml"
    settings.write_text("[window]\nhop_s = 0.5\n")
    done = manet_live("replay", film, *FAST, "--record", odd_folder / "one", "--config", settings)
    assert (done.code, done.err) == (0, JUDGED.format(17))
    shown = r"caf\xe9\x0a\x1b[31m.mp4"
    assert done.of("session")[0]["source"] == shown
    assert done.of("session")[-1]["state"] == "ended"
    assert (odd_folder / "one" / "events.jsonl").read_text() == done.out
    assert json.loads((odd_folder / "one" / "session.json").read_bytes())["sources"] == [shown]
    done = manet_live(
        "latency",
        film,
        *FAST,
        "--json",
        odd_folder / "a.json",
        "--csv",
        odd_folder / "a.csv",
        "--plot",
        odd_folder / "a.svg",
        "--trace",
        odd_folder / "a.trace",
    )
    assert done.code == 0, done.err
    assert done.out.startswith(shown)
    assert json.loads((odd_folder / "a.json").read_bytes())["source"] == shown


def test_names_of_any_bytes_in_an_error_are_one_line(recording, odd_folder):
    line = refused("replay", odd_folder / os.fsdecode(b"no\xff\nne.mp4"), *FAST)
    assert r"caf\xe9/no\xff ne.mp4 (No such file or directory)" in line
    made = manet_live("keys", odd_folder / "keys", "--client", "lab")
    assert made.code == 0, made.err
    assert r"caf\udce9/keys/server.key" in made.out


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--consent", LATIN, r"expected --consent in UTF-8, got 'caf\udce9'; set the terminal to UTF-8"),
        ("--publish", b"ipc:///tmp/" + LATIN, r"expected text in UTF-8, got [output] publish 'ipc:///tmp/caf\udce9'"),
        ("--keys", LATIN, r"expected text in UTF-8, got [output] keys 'caf\udce9' in the command line"),
        ("--engine", LATIN, r"expected text in UTF-8, got [engine] runtime 'caf\udce9' in the command line"),
        ("--model", LATIN, r"expected a bundle folder (with card.json) or a model's name, got 'caf\udce9'"),
        ("--model", b"x" * 300, "expected a bundle folder (with card.json) or a model's name, got 'xxx"),
        ("--emotion", b"", "expected a bundle folder (with card.json) or a model's name, got ''"),
        ("--keys", b"", "expected a valid configuration, got [output.keys] "),
    ],
)
def test_options_of_any_bytes_are_one_line(recording, option, value, expected):
    assert expected in refused("replay", recording, "--headless", option, os.fsdecode(value))


def test_urls_of_any_bytes_are_one_line():
    text = os.fsdecode(LATIN)
    assert r"a stream URL in UTF-8, got http://host/caf\xe9; write other bytes as %XX" in refused(
        "live", "--headless", "--url", f"http://host/{text}"
    )
    assert r"got tcp://caf\xe9:5570" in refused("live", "--headless", "--listen", f"tcp://{text}:5570")


@pytest.mark.parametrize("name", [b"l" * 120, LATIN], ids=["long", "Latin-1"])
def test_a_place_for_temporary_files_that_sockets_cannot_be_in(recording, tmp_path, name):
    place = os.fsencode(tmp_path) + b"/" + name
    os.mkdir(place)  # noqa: PTH102 - bytes
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        done = subprocess.run(
            [sys.executable, ROOT / "run_live.py", "replay", recording, *FAST],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environb, b"TMPDIR": place, b"XDG_RUNTIME_DIR": short.encode()},
        )
        assert (done.returncode, done.stderr) == (0, JUDGED.format(33))
        assert (os.listdir(place), os.listdir(short)) == ([], [])  # noqa: PTH208 - bytes


def test_a_private_folder_is_its_owners_alone_and_has_room_for_sockets(tmp_path, monkeypatch):
    long = tmp_path / ("l" * 120)
    long.mkdir()
    runtime = Path(tempfile.mkdtemp(dir="/tmp"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    for place, parent in ((tmp_path, tmp_path), (long, runtime)):
        monkeypatch.setattr(tempfile, "tempdir", str(place))
        folder = private_folder()
        assert folder.parent == parent or len(os.fsencode(tmp_path)) + 32 > LONGEST_PATH
        assert folder.stat().st_mode & 0o777 == 0o700
        assert len(os.fsencode(folder / "frames-0")) <= LONGEST_PATH
        folder.rmdir()
    runtime.rmdir()
