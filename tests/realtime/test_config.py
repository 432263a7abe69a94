"""Settings: bounded, described, and one clear line for each mistake."""

from pathlib import Path

import pytest

from engines.common.errors import BadInput
from realtime.arguments import parser
from realtime.cli import _overrides
from realtime.config import Config, describe, load


def written(folder: Path, text: str) -> Path:
    path = folder / "settings.toml"
    path.write_text(text)
    return path


def test_the_printed_configuration_reads_back_as_itself(tmp_path):
    config = load(
        None, {"view": {"crop": "full"}, "aggregator": {"enter": 0.5}, "output": {"publish": 'ipc:///a"b\\c'}}
    )
    assert load(written(tmp_path, describe(config))) == config
    assert load(written(tmp_path, describe(Config()))) == Config()


def test_every_setting_is_described_and_every_number_bounded():
    for line in describe(Config()).splitlines():
        if "=" not in line:
            continue
        key, _, meaning = line.removeprefix("# ").partition("# ")
        assert len(meaning) > 15, key
        if key.partition("=")[2].strip() not in ("true", "false", "") and '"' not in key:
            assert " to " in meaning, key


def test_the_command_line_wins_over_the_file(tmp_path):
    path = written(tmp_path, "[window]\nhop_s = 0.5\nmax_gap_s = 1")
    config = load(path, {"window": {"hop_s": 0.3, "max_gap_s": None}})
    assert (config.window.hop_s, config.window.max_gap_s) == (0.3, 1.0)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[window]\nhop = 1", r"\[window\] Object contains unknown field `hop`"),
        ("[windows]\nhop_s = 1", r"\[top level\] Object contains unknown field `windows`"),
        ("[window]\nhop_s = 9", r"\[window.hop_s\] Expected `float` <= 5.0"),
        ("[window]\nhop_s = 'x'", r"\[window.hop_s\] Expected `float`, got `str`"),
        ("window = 3", r"\[window\] Expected `object`"),
        ("[view]\ncrop = 'left'", r"\[view.crop\] Invalid enum value 'left'"),
        ("[aggregator]\nenter = 0.2\nexit = 0.5", "exit .0.5. must not be above enter .0.2."),
        ("[window\n", "a TOML file"),
        ("\x00", "a TOML file"),
    ],
)
def test_each_mistake_gets_one_line(tmp_path, text, fault):
    with pytest.raises(BadInput, match=fault) as caught:
        load(written(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BadInput, match=r"none\.toml \(No such file"):
        load(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("latency", "lookahead"), [("0.1", 0.2), ("0.5", 0.5), ("1.9", 0.95), ("-1", None), ("nan", None)]
)
def test_one_option_for_latency_holds_for_every_model(latency: str, lookahead: float | None) -> None:
    arguments = parser().parse_args(["demo", f"--latency={latency}"])
    if lookahead is None:
        with pytest.raises(BadInput, match="latency_s"):
            load(None, _overrides(arguments))
        return
    assert load(None, _overrides(arguments)).aggregator.lookahead_s == lookahead
