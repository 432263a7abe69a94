"""An inference server for the tests that need one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engines.runtimes.serving import Server

PACKAGES = ("mlserver==1.7.1", "onnxruntime", "numpy<2.4")


@pytest.fixture(scope="session")
def server_python(pytestconfig) -> Path:
    """The interpreter of an environment with MLServer, whose requirements clash with ours."""
    pytest.importorskip("tritonclient.grpc", reason="tritonclient is not installed: pip install manet-live[remote]")
    if given := os.environ.get("MLSERVER_PYTHON"):
        return Path(given)
    folder = pytestconfig.cache.mkdir("mlserver") / "venv"
    made = folder / "bin" / "python"
    if not (folder / "done").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        done = subprocess.run(
            [made, "-m", "pip", "install", "-q", *PACKAGES], capture_output=True, text=True, check=False
        )
        if done.returncode:
            pytest.skip(f"MLServer cannot be installed: {done.stderr.strip()[-200:]}")
        (folder / "done").touch()
    return made


@pytest.fixture(scope="module")
def server(server_python, tmp_path_factory):
    made = Server(server_python, tmp_path_factory.mktemp("server"))
    made.start()
    yield made
    made.kill()
