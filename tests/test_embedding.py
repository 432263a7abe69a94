"""The program of docs/embedding.md, run as it is written."""

import re
import subprocess
import sys

import pytest

from tests.conftest import ROOT, manet_live


@pytest.mark.slow
def test_the_documented_program_prints_what_the_command_line_reports():
    (program,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "embedding.md").read_text(), re.DOTALL)
    assert len([line for line in program.splitlines() if line.strip()]) <= 10
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    demo = manet_live("demo", "--seconds", "12", "--speed", "max", "--headless")
    wanted = [f"{one['onset_s']} {one['state']} {one['body_part']} {one['action']}" for one in demo.of("action")]
    assert len(wanted) > 2
    assert done.stdout.splitlines() == wanted
