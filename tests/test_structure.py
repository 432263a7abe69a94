"""Rules of the source tree: short files and functions, few parameters, plain names."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

MOST_LINES_OF_A_FILE, MOST_LINES_OF_A_FUNCTION, MOST_PARAMETERS = 400, 50, 8  # docstring and `self` not counted
PACKAGES = ("engines", "events", "simulation", "calibration", "training", "realtime", "lab", "benchmarks", "tools")
FILES = [ROOT / "run_live.py", *(file for package in (*PACKAGES, "tests") for file in (ROOT / package).rglob("*.py"))]

KNOWN = set(Path(__file__).with_name("known_offenders.txt").read_text(encoding="utf-8").splitlines())

# Where a name is one of these, the field has a plainer one.
FIGURATIVE = {
    "claim",
    "company",
    "course",
    "door",
    "leash",
    "look",
    "mend",
    "news",
    "room",
    "say",
    "spare",
    "stretch",
    "talk",
    "tell",
    "told",
    "trunk",
    "usual",
    "worth",
}


def relative(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


@functools.cache
def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef, str]]:
    """Where each function is, its node, and its docstring."""
    for file in FILES:
        for node in ast.walk(parsed(file)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield f"{relative(file)}:{node.name}", node, ast.get_docstring(node) or ""


def body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from `def` to the end, less the docstring."""
    first = node.body[0]
    documented = ast.get_docstring(node) is not None
    return (node.end_lineno or 0) - node.lineno + 1 - documented * ((first.end_lineno or 0) - first.lineno + 1)


def parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    names = [one.arg for one in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
    return len(names) - (names[:1] in (["self"], ["cls"]))


def defined_names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr


def test_files_are_short() -> None:
    lengths = {relative(file): len(file.read_text(encoding="utf-8").splitlines()) for file in FILES}
    assert {at: count for at, count in lengths.items() if count > MOST_LINES_OF_A_FILE and at not in KNOWN} == {}


def test_functions_are_short_or_say_why_not() -> None:
    long = {at: body_lines(node) for at, node, doc in functions() if "Long:" not in doc}
    assert {at: count for at, count in long.items() if count > MOST_LINES_OF_A_FUNCTION and at not in KNOWN} == {}


def test_functions_take_few_parameters_or_say_why_not() -> None:
    wide = {at: parameters(node) for at, node, doc in functions() if "many parameters" not in doc.lower()}
    assert {at: count for at, count in wide.items() if count > MOST_PARAMETERS and at not in KNOWN} == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_names_are_plain_words(package: str) -> None:
    found = set()
    for file in (ROOT / package).rglob("*.py"):
        names = [file.stem, *defined_names(parsed(file))]
        words = {(name, word.lower()) for name in names for word in re.findall("[A-Za-z][a-z]*", name)}
        found |= {f"{relative(file)}: {name}" for name, word in words if word.removesuffix("s") in FIGURATIVE}
    assert found - KNOWN == set()
