"""A session that begins with a person at rest."""

from __future__ import annotations

import pytest

from tests.conftest import manet_live

pytestmark = pytest.mark.slow

DEMO = (
    "demo",
    "--seed",
    "5",
    "--seconds",
    "12",
    "--mode",
    "balanced",
    "--speed",
    "max",
    "--headless",
    "--no-emotion",
    "--model",
    "landmarks-small",
)


def test_a_baseline_is_told_and_nothing_is_raised_before_it() -> None:
    done = manet_live(*DEMO, "--baseline", "4")
    assert done.code == 0, done.err
    told = [line for line in done.of("session") if line["state"] == "baseline"]
    assert [line["camera"] for line in told] == [0] * len(told)
    assert told[0]["detail"] == "sit still for 4 s: the baseline is being measured"
    assert told[-1]["detail"].startswith("baseline: ")
    assert all(line["onset_s"] >= 4 - 1.9 for line in done.of("action"))
    again = manet_live(*DEMO, "--baseline", "4")
    assert again.action_text == done.action_text


def test_a_baseline_too_short_for_a_window_is_bad_input() -> None:
    done = manet_live(*DEMO, "--baseline", "2")
    assert (done.code, done.out) == (2, "")
    assert "expected a baseline of 2.9 s or more" in done.err.splitlines()[-1]
