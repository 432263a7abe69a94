"""Thousands of damaged recordings through the real reader: no crash, no hang, and every picture accounted for.

FUZZ_COUNT and FUZZ_FIRST choose the seeds: `make fuzz` reads many more than the tests do.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from realtime.capture.sources.base import DAMAGED
from tests.conftest import ROOT
from tests.realtime.capture.sources.fuzzing import EXACT, NOISE, PICTURES, RATE, SECONDS, STOCK, Outcome, read

pytestmark = pytest.mark.slow

COUNT = int(os.environ.get("FUZZ_COUNT", "2000"))
FIRST = int(os.environ.get("FUZZ_FIRST", "0"))
BATCH = 250  # seeds that one worker reads


@pytest.fixture(scope="module")
def stock(lab: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the undamaged files: the same bytes each time, so that a seed can be repeated."""
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "damaged").mkdir()
    for name, arguments in STOCK.items():
        lab.ffmpeg(*lab.counting(RATE, SECONDS), *NOISE, *arguments, *EXACT, folder / name)
    return folder


def outcomes(stock: Path, first: int, count: int) -> Iterator[Outcome]:
    """Of the seeds from `first` on. A worker that dies is replaced behind the seed that it died of."""
    end = first + count
    while first < end:
        command = [sys.executable, "-m", "tests.realtime.capture.sources.fuzzing", stock, str(first), str(end - first)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        lines = done.stdout.splitlines()
        read = [Outcome(**json.loads(line)) for line in lines if line.startswith("{")]
        yield from read
        first = read[-1].seed + 1 if read else first
        if done.returncode or done.stderr:
            died = f"exit code {done.returncode}: {done.stderr[-1500:]}"
            yield Outcome(first, "", [], fault=died)
            first += 1


@pytest.mark.timeout(max(300, COUNT))  # s: two orders of magnitude above what it takes
def test_damaged_recordings_are_read_to_their_end(stock: Path) -> None:
    batches = [(first, min(BATCH, FIRST + COUNT - first)) for first in range(FIRST, FIRST + COUNT, BATCH)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        done = list(itertools.chain.from_iterable(pool.map(lambda batch: list(outcomes(stock, *batch)), batches)))
    faults = [outcome for outcome in done if outcome.fault]
    repeat = "FUZZ_FIRST={} FUZZ_COUNT=1 python -m pytest tests/realtime/sources/test_fuzz.py"
    assert not faults, (
        "\n\n".join(
            f"seed {outcome.seed}, {outcome.name} {outcome.damage}: {outcome.fault}\n  {repeat.format(outcome.seed)}"
            for outcome in faults[:20]
        )
        + f"\n\n{len(faults)} faults in all"
    )
    assert [outcome.seed for outcome in done] == list(range(FIRST, FIRST + COUNT))
    if COUNT >= 1000:  # the damage is neither so slight that nothing comes of it, nor so heavy that nothing is read
        assert 0.1 < sum(outcome.refused for outcome in done) / COUNT < 0.5
        assert sum(outcome.left_out.get(DAMAGED, 0) > 0 for outcome in done) > 0.2 * COUNT
        assert sum(outcome.delivered > PICTURES // 2 for outcome in done) > 0.2 * COUNT


def test_a_worker_that_dies_is_blamed_on_its_seed(stock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hang is one that faulthandler ends; here every file takes too long."""
    monkeypatch.setenv("FUZZ_LIMIT_S", "0.000001")
    died = list(outcomes(stock, 3, 1))
    assert [outcome.seed for outcome in died] == [3]
    assert "Timeout" in died[0].fault


def test_undamaged_files_come_whole(stock: Path) -> None:
    for name in STOCK:
        outcome = Outcome(0, name, ["packets"])
        read(stock / name, outcome)
        assert (outcome.fault, outcome.delivered, outcome.left_out) == ("", PICTURES, {}), name
