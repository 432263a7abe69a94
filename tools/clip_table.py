"""What a model says of recordings, as a Markdown table: events as reported, and the actions that scored most.

python -m tools.clip_table MODEL RECORDING...
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

RUN_LIVE = Path(__file__).resolve().parent.parent / "run_live.py"
# Every score an event: the mean score of an action, times how long it lasted, ranks the actions.
ALL_SCORES = "[aggregator]\nenter = 0.01\nexit = 0.01\nmin_duration_s = 0.0\nhabituation_s = 0.0\n"
TOP = 3


def actions(model: str, recording: str, *options: str) -> list[dict[str, Any]]:
    """The action lines of a replay."""
    command = [sys.executable, str(RUN_LIVE), "replay", recording, "--model", model, "--speed", "max", "--headless"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(done.stderr)
    lines = map(json.loads, done.stdout.splitlines())
    return [line for line in lines if line["kind"] == "action" and line["state"] == "ended"]


def main(model: str, recordings: list[str]) -> None:
    """Print the table."""
    print("| recording | events | actions that scored most |\n| --- | --- | --- |")
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as config:
        config.write(ALL_SCORES)
        config.flush()
        for recording in recordings:
            reported = [
                f"{one['action']} ({one['body_part']}) {one['onset_s']:.1f}–{one['offset_s']:.1f} s, "
                f"{one['confidence']:.2f}"
                for one in actions(model, recording)
            ]
            scores: dict[str, float] = {}
            for one in actions(model, recording, "--config", config.name):
                share = one["confidence"] * (one["offset_s"] - one["onset_s"])
                scores[one["action"]] = scores.get(one["action"], 0.0) + share
            best = sorted(scores, key=lambda name: -scores[name])[:TOP]
            print(f"| {Path(recording).name} | {'; '.join(reported) or 'none'} | {', '.join(best)} |")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2:])
