"""Withdrawal of consent: what of a session is deleted, what is left alone, and what is said of the rest."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from lab.__main__ import main
from tests.lab.sessions import ended, opening, recording, write_session


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    media = []
    for name, kind in (("out.mp4", "video"), ("out.landmarks", "landmarks"), ("gone/out.mp4", "video")):
        media.append({"camera": 0, "kind": kind, "path": str(tmp_path / name)})
    for name in ("out.mp4", "out-restart1.mp4", "out.landmarks", "other.mp4"):
        (tmp_path / name).write_bytes(b"x")
    folder = write_session(tmp_path / "session", [opening(), recording(), ended()], media=media)
    (folder / "corrections.jsonl").write_bytes(b"")
    assert main(["report", str(folder)]) == 0
    return folder


def test_everything_of_the_session_is_deleted_and_the_rest_named(folder, capsys):
    assert main(["forget", str(folder), "--yes"]) == 0
    assert sorted(path.name for path in folder.parent.iterdir()) == ["other.mp4"]
    captured = capsys.readouterr()
    assert captured.out.endswith("deleted 7 files\n")
    errors = captured.err.splitlines()
    assert errors[0].endswith("gone/out.mp4, which is not where it was recorded: look where it was moved")
    assert errors[1] == "manet-live: not deleted: the recordings that were read: interview.mp4"
    assert len(errors) == 5


def test_files_of_others_stay(folder, capsys):
    (folder / "notes.txt").write_text("mine")
    (folder / "report.html").write_text("mine, too")
    assert main(["forget", str(folder), "--yes"]) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["notes.txt", "report.html"]
    assert f"not deleted: {folder / 'notes.txt'} (not of the record)" in capsys.readouterr().err


@pytest.mark.parametrize(("answer", "left"), [("y\n", False), ("\n", True), ("no\n", True)])
def test_it_asks_first(folder, monkeypatch, capsys, answer, left):
    terminal = io.StringIO(answer)
    terminal.isatty = lambda: True
    monkeypatch.setattr("sys.stdin", terminal)
    assert main(["forget", str(folder)]) == 0
    assert folder.exists() == left
    assert ("nothing was deleted" in capsys.readouterr().out) == left


def test_without_a_terminal_nothing_is_deleted(folder, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert main(["forget", str(folder)]) == 2
    assert "expected an answer in a terminal, or --yes" in capsys.readouterr().err
    assert (folder / "events.jsonl").exists()


def test_what_cannot_be_deleted_is_named(folder, capsys):
    (folder.parent / "out.mp4").unlink()
    (folder.parent / "out.mp4").mkdir()
    assert main(["forget", str(folder), "--yes"]) == 1
    assert "out.mp4 (Is a directory)" in capsys.readouterr().err
    assert (folder / "events.jsonl").exists()
    (folder.parent / "out.mp4").rmdir()
    assert main(["forget", str(folder), "--yes"]) == 0  # taken up again
    assert not folder.exists()


def test_a_folder_without_a_session_is_left_alone(tmp_path, capsys):
    (tmp_path / "precious").write_text("mine")
    assert main(["forget", str(tmp_path), "--yes"]) == 2
    assert (tmp_path / "precious").exists()
