"""Keys, settings, names and options as they should not be: they work, or are refused with one line."""

import json

import pytest

from engines.errors import BadInput
from realtime.config import load
from realtime.keys import load_client_keys, load_keys, make_keys
from tests.conftest import ROOT, manet_live
from tests.test_bad_input import refused

NOT_KEYS = {
    "not text": b"\xff\xfe\x00junk", "a missing field": b'{"public": "%s"}' % (b"a" * 40),
    "too short": b'{"public": "%s", "secret": "%s"}' % (b"a" * 39, b"a" * 40),
    "more than four bytes hold": b'{"public": "%s", "secret": "%s"}' % (b"#" * 40, b"#" * 40),
    "keys of two pairs": b'{"public": "%s", "secret": "%s"}' % (b"a" * 40, b"b" * 40),
    "brackets without end": b"[" * 100_000, "nothing": b"",
}  # fmt: skip


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
    assert str(caught.value) == (f"expected a key file as `keys DIR --camera NAME` makes it, got {desk}; "
                                 "copy it anew")


def test_a_camera_key_that_others_can_read_or_whose_server_is_no_key(tmp_path):
    make_keys(tmp_path, [], ["desk"])
    desk = tmp_path / "desk.key"
    assert load_client_keys(desk).own.public == (tmp_path / "cameras" / "desk.pub").read_text().strip()
    desk.chmod(0o640)
    assert refused("capture", "--connect", "127.0.0.1:5570", "--key", desk, "--demo").endswith(
        f"expected a key file that its owner alone can read, got {desk}, open to others; "
        f"`chmod 600 {desk}`, and make new keys if others may have read it")
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


SETTINGS = '[window]\nhop_s = 0.5  # caf\u00e9\n'
ENCODED = {"BOM": SETTINGS.encode("utf-8-sig"), "UTF-16 LE": b"\xff\xfe" + SETTINGS.encode("utf-16-le"),
           "UTF-16 BE": b"\xfe\xff" + SETTINGS.encode("utf-16-be"), "CRLF": SETTINGS.replace("\n", "\r\n").encode()}
NOT_SETTINGS = {
    "Latin-1": (SETTINGS.encode("latin-1"), "a TOML file in UTF-8"),
    "UTF-16 without a mark": (SETTINGS.encode("utf-16-le"), "a TOML file in UTF-8"),
    "half a UTF-16 character": (b"\xff\xfea", "a TOML file in UTF-8"),
    "brackets without end": (b"a = " + b"[" * 100_000, "a TOML file"),
    "a number of 5000 digits": (b"a = " + b"9" * 5000, "a TOML file"),
    "a zero in a path": (b'[output]\nkeys = "a\\u0000b"', "text without zero characters"),
    "too large": (b"#" * (1 << 20) + b"\n", "a configuration file"),
}  # fmt: skip


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
