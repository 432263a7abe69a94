"""Without an extra, every command runs with the run-time dependencies alone, whatever the developer has installed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import pytest

from tests.conftest import ROOT

# Every process of the command begins with it.
HIDE = """
import sys
class Hiding:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, path=None, target=None):
        hidden = name.partition(".")[0] in {hidden!r}
        return None if hidden else self.finder.find_spec(name, path, target)
    def __getattr__(self, name):
        return getattr(self.finder, name)
sys.meta_path[:] = [Hiding(finder) for finder in sys.meta_path]
"""


def at_run_time() -> set[str]:
    """Distributions that a plain installation brings, in lower case, as `packages_distributions` spells them."""
    found: set[str] = set()
    waiting = ["manet-live"]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        wanted = [line for line in distribution(name).requires or [] if "extra ==" not in line]
        waiting += [plain(re.match(r"[\w.-]+", line)[0]) for line in wanted if installed(line)]
    return found


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def installed(requirement: str) -> bool:
    try:
        distribution(re.match(r"[\w.-]+", requirement)[0])
    except ModuleNotFoundError:
        return False  # for another platform or Python
    return True


@pytest.fixture(scope="module")
def plain_installation(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which every process sees the run-time dependencies alone."""
    allowed = at_run_time()
    hidden = {
        package
        for package, owners in packages_distributions().items()
        if not {plain(owner) for owner in owners} & allowed
    }
    assert {"torch", "scipy", "sklearn", "pytest", "pyarrow"} <= hidden
    assert not {"numpy", "av", "cv2", "matplotlib", "engines", "run_live"} & hidden
    folder = tmp_path_factory.mktemp("plain")
    folder.joinpath("sitecustomize.py").write_text(HIDE.format(hidden=hidden), encoding="utf-8")
    return os.environ | {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}


def run(environment: dict[str, str], *command: str) -> str:
    done = subprocess.run([sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_hidden_packages_are_hidden(plain_installation: dict[str, str]) -> None:
    ask = "from importlib.util import find_spec; print([bool(find_spec(name)) for name in ('scipy', 'av')])"
    assert run(plain_installation, "-c", ask).split() == ["[False,", "True]"]


@pytest.mark.slow
def test_the_demo_and_the_replay_of_its_landmarks(plain_installation: dict[str, str], tmp_path: Path) -> None:
    landmarks = tmp_path / "demo.landmarks"
    options = ["--seconds", "6", "--mode", "balanced", "--speed", "max", "--headless"]
    record = ["--record", str(tmp_path / "record"), "--record-landmarks", str(landmarks)]
    demo = run(plain_installation, "run_live.py", "demo", *options, *record)
    replay = run(plain_installation, "run_live.py", "replay", str(landmarks), "--speed", "max", "--headless")
    for stream in (demo, replay):
        assert {"session", "summary"} <= {json.loads(line)["kind"] for line in stream.splitlines()}


@pytest.mark.slow
@pytest.mark.long
def test_a_recording_with_a_face(plain_installation: dict[str, str], real: Path, tmp_path: Path) -> None:
    clip, plot = sorted((real / "clips").glob("*.mp4"))[0], tmp_path / "latency.png"
    options = ["--speed", "max", "--seconds", "2", "--plot", str(plot)]
    run(plain_installation, "run_live.py", "latency", str(clip), *options)
    assert plot.is_file()


@pytest.mark.parametrize(
    "command", ["run_live.py cameras --help", "-m engines list --json", "-m lab --help", "-m training --help"]
)
def test_listing_and_help(plain_installation: dict[str, str], command: str) -> None:
    assert run(plain_installation, *command.split())
