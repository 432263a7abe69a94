"""A session leaves nothing behind that nobody asked for."""

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_a_session_writes_no_file_and_no_vendor_identifier(recording, tmp_path, runtime):
    home, temporary = tmp_path / "home", tmp_path / "tmp"
    home.mkdir()
    temporary.mkdir()
    environment = {**os.environ, "HOME": str(home), "TMPDIR": str(temporary), "CI": ""}
    command = [
        sys.executable,
        ROOT / "run_live.py",
        "replay",
        recording,
        "--speed",
        "max",
        "--headless",
        "--no-emotion",  # whose nets would be fetched into the empty home
        "--model",
        "untrained-small",
        "--engine",
    ]
    done = subprocess.run([*command, runtime], env=environment, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
