"""What stands at a path is the user's: nothing is overwritten or taken over, and a failed start leaves nothing."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time

import pytest
import zmq

from engines.common.errors import BadInput
from engines.common.new_files import NewFiles, what_stands_at
from realtime.output.lines import encode
from realtime.output.outputs import PublishOutput
from realtime.transport.ipc_paths import LONGEST_PATH, IpcListener
from tests.conftest import ROOT, manet_live, refused
from tests.realtime.conftest import LINE, record

pytestmark = pytest.mark.slow

FAST = ("--headless", "--no-emotion", "--speed", "max", "--engine", "onnxruntime", "--model", "untrained-small")


def tree(folder) -> dict[str, bytes | None]:
    """Every path below a folder, with the bytes of files."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def dead_socket(path) -> None:
    """As a session leaves it that was killed."""
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


@pytest.mark.parametrize("standing", ["a file", "a folder", "a named pipe", "a link"])
def test_publish_deletes_nothing_that_is_no_socket(recording, tmp_path, standing):
    path = tmp_path / "events"
    if standing == "a file":
        path.write_text("precious\n")
    elif standing == "a folder":
        path.mkdir()
    elif standing == "a named pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(tmp_path / "nowhere")
    before = path.lstat()
    line = refused("replay", recording, *FAST, "--publish", f"ipc://{path}")
    assert line == (
        f"manet-live: error: expected a free path for --publish, got {path}, {standing}; name another, or move it away"
    )
    after = path.lstat()
    assert (after.st_ino, after.st_mode, after.st_mtime_ns) == (before.st_ino, before.st_mode, before.st_mtime_ns)
    assert standing != "a file" or path.read_text() == "precious\n"


def test_publish_leaves_a_socket_in_use_to_its_session(recording, tmp_path, context):
    path = tmp_path / "events"
    first = PublishOutput(f"ipc://{path}")
    subscriber = context.socket(zmq.SUB)
    subscriber.subscribe(b"")
    subscriber.connect(f"ipc://{path}")
    line = refused("replay", recording, *FAST, "--publish", f"ipc://{path}")
    assert line == (
        f"manet-live: error: expected a free path for --publish, got {path}, a socket in use; "
        "name another, or stop what holds it"
    )
    while not subscriber.poll(20):
        first.on_line(LINE)
    assert subscriber.recv_multipart() == [b"session", encode(LINE)]
    first.close()
    assert not path.exists()


def test_publish_leaves_other_programs_sockets_alone(tmp_path):
    path = tmp_path / "log"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as held:
        held.bind(str(path))
        with pytest.raises(BadInput, match="a socket in use"):
            PublishOutput(f"ipc://{path}")
        assert path.exists()


def test_publish_replaces_a_dead_socket(tmp_path, context):
    path = tmp_path / "events"
    dead_socket(path)
    output = PublishOutput(f"ipc://{path}")
    subscriber = context.socket(zmq.SUB)
    subscriber.subscribe(b"")
    subscriber.connect(f"ipc://{path}")
    while not subscriber.poll(20):
        output.on_line(LINE)
    output.close()
    assert tree(tmp_path) == {}


def test_what_took_the_sockets_place_stays(tmp_path):
    path = tmp_path / "events"
    output = PublishOutput(f"ipc://{path}")
    path.unlink()
    path.write_text("mine\n")
    output.close()
    assert path.read_text() == "mine\n"


def test_of_two_that_replace_a_dead_socket_at_once_one_gets_it(tmp_path):
    code = (
        "import sys; from realtime.transport.ipc_paths import IpcListener; from engines.common.errors import BadInput\n"
        "sys.stdin.readline()\n"
        "try: held = IpcListener(sys.argv[1], '--publish')\n"
        "except BadInput: print('refused', flush=True)\n"
        "else: print('bound', flush=True); sys.stdin.readline(); held.close()\n"
    )
    path = tmp_path / "events"
    for _ in range(5):
        dead_socket(path)
        each = [
            subprocess.Popen(
                [sys.executable, "-c", code, path], cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            for _ in range(2)
        ]
        for process in each:
            process.stdin.write("go\n")
            process.stdin.flush()
        assert sorted(process.stdout.readline() for process in each) == ["bound\n", "refused\n"]
        for process in each:
            process.communicate("")
        assert tree(tmp_path) == {}


@pytest.mark.parametrize("length", [LONGEST_PATH, LONGEST_PATH + 1])
def test_a_socket_path_has_a_longest_length(tmp_path, monkeypatch, length):
    monkeypatch.chdir(tmp_path)
    name = "x" * length
    if length <= LONGEST_PATH:
        PublishOutput(f"ipc://{name}").close()
    else:
        with pytest.raises(BadInput) as caught:
            PublishOutput(f"ipc://{name}")
        assert str(caught.value) == (
            f"expected a path of at most {LONGEST_PATH} bytes for --publish, got {name} "
            f"({length} bytes); name a shorter one, for example in /tmp"
        )
    assert tree(tmp_path) == {}


def test_a_socket_in_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(BadInput, match=r"got .*/missing/events \(No such file or directory\)"):
        IpcListener(str(tmp_path / "missing" / "events"), "--publish")


def test_a_record_keeps_off_what_stands_there(recording, tmp_path):
    (tmp_path / "file").write_text("mine\n")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    foreign, half = tmp_path / "foreign", tmp_path / "half"
    foreign.mkdir()
    (foreign / "session.json").write_text('{"mine": 1}\n')
    half.mkdir()
    (half / "events.jsonl").write_text("")
    before = tree(tmp_path)
    for name, got in (
        ("file", ", a file"),
        ("link", ", a link that leads nowhere"),
        ("foreign", ", which holds a session (session.json)"),
        ("half", ", which holds a session (events.jsonl)"),
        ("file/below", " (Not a directory)"),
        ("x" * 300, " (File name too long)"),
    ):
        line = refused("replay", recording, *FAST, "--record", tmp_path / name)
        assert line.endswith(f"for --record, got {tmp_path / name}{got}; name another")
    assert tree(tmp_path) == before


def test_an_empty_name_is_no_path(recording, tmp_path):
    for option in ("--record", "--config"):
        assert f"argument {option}: expected a path, got an empty name" in refused("replay", recording, option, "")
    assert "expected an endpoint" in refused("replay", recording, *FAST, "--publish", "")
    assert "expected a path, got an empty name" in refused("replay", "")
    assert "expected a path, got an empty name" in refused("keys", "")


def test_a_record_joins_a_folder_of_the_users(recording, tmp_path):
    (tmp_path / "notes.txt").write_text("mine\n")
    done = manet_live("replay", recording, *FAST, "--record", tmp_path)
    assert done.code == 0, done.err
    assert {path.name for path in tmp_path.iterdir()} == {"notes.txt", "events.jsonl", "session.json"}
    assert (tmp_path / "events.jsonl").read_text() == done.out


@pytest.mark.parametrize(
    "wrong",
    [
        ("replay", "RECORDING", "--engine", "tensorrt"),
        ("replay", "RECORDING", "--model", "no-such-model"),
        ("replay", "missing.mp4"),
        ("live", "--camera", "77", "--engine", "onnxruntime"),
        ("replay", "RECORDING", "--publish", "ipc:///missing/events"),
    ],
)
def test_after_a_failed_start_the_same_record_folder_works(recording, tmp_path, wrong):
    folder, endpoint = tmp_path / "sessions" / "one", f"ipc://{tmp_path}/events"
    command = [str(recording) if word == "RECORDING" else word for word in wrong]
    model = () if "--model" in wrong else ("--model", "untrained-small")
    publish = () if "--publish" in wrong else ("--publish", endpoint)
    done = manet_live(*command, *model, *publish, "--headless", "--record", folder)
    assert done.code == 2, done.err
    assert tree(tmp_path) == {}
    done = manet_live("replay", recording, *FAST, "--publish", endpoint, "--record", folder)
    assert done.code == 0, done.err
    assert (folder / "events.jsonl").read_text() == done.out
    assert json.loads((folder / "session.json").read_bytes())["sources"] == [recording.name]


def test_ctrl_c_while_starting_leaves_nothing(recording, tmp_path):
    folder = tmp_path / "one"
    for after_s in (0.3, 0.8, 1.4, 2.0):
        process = subprocess.Popen(
            [
                sys.executable,
                ROOT / "run_live.py",
                "live",
                "--url",
                "udp://@127.0.0.1:5999",
                "--headless",
                "--engine",
                "onnxruntime",
                "--record",
                folder,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        time.sleep(after_s)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        assert tree(tmp_path) == {}
    done = manet_live("replay", recording, *FAST, "--record", folder)
    assert done.code == 0, done.err


def test_a_full_disk_takes_back_what_was_made(tmp_path, monkeypatch):
    resource = pytest.importorskip("resource")
    code = (
        "import resource, signal, sys; from pathlib import Path; from realtime.output.outputs import RecordOutput\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (4, 4))\n"
        "try: RecordOutput(Path(sys.argv[1])).start({'a': 'long enough'})\n"
        "except Exception as error: print(error)\n"
    )
    assert resource.RLIMIT_FSIZE >= 0
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "new" / "one"], cwd=ROOT, text=True, check=True, capture_output=True
    )
    assert done.stdout == (
        f"expected a folder that can be written for --record, got {tmp_path}/new/one (File too large); name another\n"
    )
    assert tree(tmp_path) == {}


def test_a_record_that_was_begun_stays_when_the_session_breaks(tmp_path):
    record(tmp_path / "a" / "b").close()
    assert sorted(tree(tmp_path)) == ["a", "a/b", "a/b/events.jsonl", "a/b/session.json"]


def test_only_what_was_made_and_is_still_the_same_is_taken_back(tmp_path):
    (tmp_path / "there").mkdir()
    with NewFiles() as made:
        made.folder(tmp_path / "there" / "new")
        made.write(tmp_path / "there" / "new" / "one", b"1")
        made.write(tmp_path / "there" / "two", b"2")
        made.write(tmp_path / "there" / "three", b"3")
        made.keep(tmp_path / "there" / "three")
        (tmp_path / "there" / "two").unlink()
        (tmp_path / "there" / "two").write_bytes(b"another's")
        (tmp_path / "there" / "new" / "guest").write_bytes(b"guest")
        with pytest.raises(FileExistsError):
            made.write(tmp_path / "there" / "two", b"no")
    assert tree(tmp_path) == {
        "there": None,
        "there/new": None,
        "there/new/guest": b"guest",
        "there/two": b"another's",
        "there/three": b"3",
    }


def test_what_stands_at_a_path_is_named(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    dead_socket(tmp_path / "socket")
    assert stat.S_ISSOCK((tmp_path / "socket").lstat().st_mode)
    assert what_stands_at(tmp_path) == "a folder"
    assert what_stands_at(tmp_path / "file") == "a file"
    assert what_stands_at(tmp_path / "socket") == "a socket"
    assert what_stands_at(tmp_path / "none") is None


def test_latency_overwrites_no_file_of_the_users(recording, tmp_path):
    (tmp_path / "old.json").write_text("precious\n")
    (tmp_path / "link.csv").symlink_to(tmp_path / "nowhere")
    before = tree(tmp_path)
    for option, name, what in (("--json", "old.json", "a file"), ("--csv", "link.csv", "a link that leads nowhere")):
        line = refused("latency", recording, "--headless", "--trace", tmp_path / "new", option, tmp_path / name)
        assert line.endswith(
            f"expected a new {option} file, got {tmp_path / name}, {what}; name another, or move it away"
        )
    assert tree(tmp_path) == before


def test_latency_writes_one_file_for_each_option(recording, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "new")
    line = refused("latency", recording, "--headless", "--json", tmp_path / "new", "--csv", tmp_path / "." / "link")
    assert line.endswith(
        f"expected a file of its own for --csv, got {tmp_path}/link, which another option has; name another"
    )
    assert not (tmp_path / "new").exists()


def test_latency_leaves_no_file_behind_when_it_fails(tmp_path):
    files = ("--json", tmp_path / "a.json", "--csv", tmp_path / "a.csv", "--plot", tmp_path / "a.svg")
    done = manet_live("latency", "--camera", "77", "--headless", "--engine", "onnxruntime", *files)
    assert done.code == 2, done
    assert tree(tmp_path) == {}


def test_latency_writes_what_it_can(recording, tmp_path):
    (tmp_path / "empty.csv").write_bytes(b"")  # as mktemp makes them: it holds nothing of the user's
    done = manet_live(
        "latency", recording, *FAST, "--json", "/dev/full", "--csv", tmp_path / "empty.csv", "--trace", tmp_path / "new"
    )
    assert done.code == 1
    assert done.err.splitlines()[-1] == (
        "manet-live: failed: could not write --json /dev/full: No space left on device"
    )
    assert (tmp_path / "empty.csv").read_text().startswith("frame_id,")
    assert json.loads((tmp_path / "new").read_text())["traceEvents"]


def test_keys_keep_off_what_stands_there(tmp_path):
    (tmp_path / "file").write_text("mine\n")
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "lab.key").symlink_to(tmp_path / "nowhere")
    (tmp_path / "keys" / "cameras").write_text("mine\n")
    before = tree(tmp_path)
    assert refused("keys", tmp_path / "file").endswith(
        f"expected a folder for keys that can be written, got {tmp_path}/file (Not a directory); name another"
    )
    assert refused("keys", tmp_path / "keys", "--client", "lab").endswith("keys are never overwritten")
    assert "(Not a directory)" in refused("keys", tmp_path / "keys", "--client", "desk")
    assert tree(tmp_path) == before


def test_keys_that_could_not_all_be_written_are_taken_back(tmp_path):
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from realtime.transport.authentication import make_keys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (150, 150))\n"
        "try: make_keys(Path(sys.argv[1]), ['lab'])\n"  # lab.key is the longest
        "except Exception as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "keys"], cwd=ROOT, text=True, check=True, capture_output=True
    )
    assert done.stdout == (
        f"expected a folder for keys that can be written, got {tmp_path}/keys (File too large); name another\n"
    )
    assert tree(tmp_path) == {}
