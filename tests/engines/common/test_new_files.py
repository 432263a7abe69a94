"""Commands that write files keep off what stands there."""

import os

import pytest

from calibration.__main__ import main as calibration_command
from engines.common.errors import BadInput
from engines.common.new_files import check_empty_folder, check_names_free, check_new_file
from lab.prepare import main as prepare_command


def test_a_new_file(tmp_path):
    (tmp_path / "mine").write_text("mine\n")
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("empty", "new"):
        check_new_file(tmp_path / name, "--out")
    check_new_file(tmp_path / os.devnull, "--out")
    for name, got in (("mine", "mine, a file"), ("link", "link, a link that leads nowhere"), ("", ", a folder")):
        with pytest.raises(BadInput) as caught:
            check_new_file(tmp_path / name, "--out")
        assert str(caught.value).startswith("expected a new --out file, got ")
        assert str(caught.value).endswith(f"{got}; name another, or move it away")
    with pytest.raises(BadInput, match=r"missing/file \(No such file or directory\); check its folder"):
        check_new_file(tmp_path / "missing" / "file", "--out")
    assert sorted(os.listdir(tmp_path)) == ["empty", "link", "mine"]  # noqa: PTH208


def test_a_new_or_empty_folder(tmp_path):
    check_empty_folder(tmp_path, "--out")
    check_empty_folder(tmp_path / "new", "--out")
    check_names_free(tmp_path / "new", ("a",), "--out")
    (tmp_path / "a").write_text("mine\n")
    with pytest.raises(BadInput, match=r"^expected a new or empty folder for --out, got .*, a folder with files in it"):
        check_empty_folder(tmp_path, "--out")
    with pytest.raises(BadInput, match=r"^expected a new or empty folder for --out, got .*/a, a file;"):
        check_empty_folder(tmp_path / "a", "--out")
    with pytest.raises(BadInput, match=r"^expected a new folder for --out, got .*, which holds a; name another$"):
        check_names_free(tmp_path, ("b", "a"), "--out")
    assert not (tmp_path / "new").exists()


def test_commands_overwrite_no_file_of_the_users(recording, tmp_path, capsys):
    mine = tmp_path / "mine.npz"
    mine.write_text("mine\n")
    assert prepare_command([str(recording), "--out", str(mine)]) == 2
    assert capsys.readouterr().err.endswith(
        f"expected a new --out file, got {mine}, a file; name another, or move it away\n"
    )
    assert (
        calibration_command(["temperature", "untrained-small", "--out", str(tmp_path / "t"), "--plot", str(mine)]) == 2
    )
    assert capsys.readouterr().err.endswith(
        f"expected a new --plot file, got {mine}, a file; name another, or move it away\n"
    )
    assert (mine.read_text(), sorted(path.name for path in tmp_path.iterdir())) == ("mine\n", ["mine.npz"])
