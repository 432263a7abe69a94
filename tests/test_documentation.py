"""Every command and every Python example of README.md and docs/ works as written."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import run_live
from tests.conftest import ROOT

PAGES = {
    page.name: page.read_text(encoding="utf-8") for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
}

LONG = {"networks.md", "latency.md", "tensorrt.md", "simulation.md"}  # whose commands take more than ten seconds

# What is not run but parsed, by what it would need.
NEEDS = {
    "a camera": r"--camera \d|--screen|run_live.py live",
    "another machine": r"--listen|--connect|subscribe.py",
    "minutes or hours of computing": r"-m training|-m calibration|-m benchmarks|tools.tracker_noise",
    "an inference server": r"--server ",
    "another's data or weights": r"--data |manet|-m lab ",
    "a GPU": r"engines build|rtx|-m pytest",
}


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGES[page], flags=re.DOTALL | re.MULTILINE)


def commands(page: str) -> list[str]:
    """The lines of all shell blocks, comments left out."""
    lines = "".join(blocks(page, "sh")).replace("\\\n", " ").splitlines()
    return [command for line in lines if (command := line.split("  #")[0].strip())]


def inline_commands(page: str) -> list[str]:
    """Those in the text or in tables, whose capitals stand for a reader's own names."""
    return re.findall(r"`(python (?:-m|run_live\.py)[^`…|]*)`", PAGES[page])


def needs(command: str) -> list[str]:
    return [what for what, pattern in NEEDS.items() if re.search(pattern, command)]


class Parsed(Exception):
    """The arguments were understood."""


@contextlib.contextmanager
def parsing_alone() -> Iterator[None]:
    """Commands end behind their parser."""
    parse = argparse.ArgumentParser.parse_args

    def parse_and_end(parser, *arguments, **named):
        parse(parser, *arguments, **named)
        raise Parsed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_args", parse_and_end)
        yield


def parse(command: str) -> None:
    """Have the program that a command names read its arguments, and no more."""
    python, *words = shlex.split(command)
    assert python in ("python", ".venv/bin/python"), command
    name, *arguments = words[1:] if words[0] == "-m" else words
    if name == "pytest":
        assert all((ROOT / word).exists() for word in arguments if word.startswith("tests/")), command
    elif words[0] == "-m":
        package = (ROOT / name.replace(".", "/") / "__main__.py").exists()
        understood(importlib.import_module(f"{name}.__main__" if package else name), arguments)
    elif name == "run_live.py":
        understood(run_live, arguments)
    else:
        assert (ROOT / name).exists(), command


def understood(program: ModuleType, arguments: list[str]) -> None:
    with parsing_alone(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [program.__name__, *arguments])
        if arguments:  # else the text speaks of the program as a whole
            with pytest.raises(Parsed):
                program.main()


@pytest.mark.parametrize("page", PAGES)
def test_commands_stand_where_this_test_finds_them(page: str) -> None:
    assert re.findall(r"^ {4,}(?:python|make|pip) .*", PAGES[page], flags=re.MULTILINE) == []


@pytest.mark.parametrize("page", PAGES)
def test_commands_that_need_more_than_a_test_has_are_understood(page: str) -> None:
    for command in [*commands(page), *inline_commands(page)]:
        if command.startswith("make "):
            done = subprocess.run(["make", "-n", *command.split()[1:]], cwd=ROOT, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
        elif not command.startswith("pip "):
            parse(command)


@pytest.fixture
def desk(recording: Path, tmp_path: Path) -> Path:
    """A folder like the repository's, with the recording that the pages speak of."""
    for item in ROOT.iterdir():
        if not item.name.startswith(".") and item.name not in ("bundles", "runs", "recordings", "build"):
            (tmp_path / item.name).symlink_to(item)
    (tmp_path / "interview.mp4").symlink_to(recording)
    return tmp_path


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=pytest.mark.long if page in LONG else ())
        for page in PAGES
        if any(not needs(command) for command in commands(page))
    ],
)
def test_the_other_commands_run(page: str, desk: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for command in commands(page):
        if not needs(command) and not command.startswith(("make ", "pip ")):
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=desk,
                env=os.environ | {"PATH": path},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"{command}: {done.stderr}"


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")])
def test_python_examples_run(page: str, desk: Path) -> None:
    for code in blocks(page, "python"):
        done = subprocess.run([sys.executable, "-c", code], cwd=desk, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
