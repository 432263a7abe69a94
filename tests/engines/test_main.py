from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from engines.__main__ import main
from engines.bundle import Bundle, Reference
from engines.networks.manet import OFFICIAL_TEMPERATURE
from engines.networks.pretrained import read_checkpoint
from engines.patterns import moving_patterns
from engines.runtimes import RUNTIMES, open_runtime
from tests.conftest import ROOT
from tests.engines.networks.official_reference import official_forward

pytestmark = pytest.mark.slow

TINY = tuple(f"--set={field}" for field in ("depth=18", "width=8", "size=32", "length=4", "embedding=false"))


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_import_makes_a_trained_bundle_that_answers_as_the_checkpoint(
    official_bundle: Bundle, official_weights: dict[str, torch.Tensor]
) -> None:
    card = official_bundle.card
    assert (card.name, card.trained, card.provenance.source) == ("official", True, "official.pth")
    assert card.calibration.temperature == OFFICIAL_TEMPERATURE
    assert (card.network.depth, card.network.clip_shape, card.network.embedding) == (50, (8, 224, 224, 3), False)
    clips = moving_patterns(31, 1, 8, 224)
    with open_runtime(official_bundle, "onnxruntime") as runtime, torch.inference_mode():
        want = official_forward(official_weights, torch.from_numpy(clips))[0].numpy()
        assert abs(runtime.infer(clips).logits - want).max() <= 1e-4 * abs(want).max()


def test_weights_go_back_to_the_official_layout(
    official_bundle: Bundle,
    official_weights: dict[str, torch.Tensor],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "back.pth"
    assert run(capsys, "export", official_bundle.path, "--checkpoint", path)[0] == 0
    checkpoint = read_checkpoint(path)
    assert checkpoint.trained
    lost = ("action_p2_", "fc_emb", "num_batches_tracked")
    for name, value in official_weights.items():
        if any(word in name for word in lost):
            assert not checkpoint.weights[name].any()
        else:
            assert torch.equal(checkpoint.weights[name], value), name
    code, _, err = run(capsys, "export", official_bundle.path, "--checkpoint", path)
    assert (code, "which exists" in err) == (2, True)


@pytest.mark.long
def test_init_export_and_list_keep_saying_untrained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engines.bundle.platformdirs.user_data_dir", lambda name: str(tmp_path))
    code, out, err = run(capsys, "init", "--out", tmp_path / "models" / "tiny", "--seed", "5", *TINY)
    assert (code, err) == (0, "")
    assert "UNTRAINED" in out
    code, out, err = run(capsys, "export", "tiny", "--out", tmp_path / "other", "--name", "renamed")
    assert (code, err) == (0, "")
    assert "renamed" in out
    assert "UNTRAINED" in out
    card = Bundle.load(tmp_path / "other").card
    assert (card.name, card.trained, card.provenance.seed) == ("renamed", False, 5)
    assert str(tmp_path) not in (tmp_path / "other" / "card.json").read_text()
    (tmp_path / "models" / "broken").mkdir()
    (tmp_path / "models" / "broken" / "card.json").write_text("{}")
    code, out, _ = run(capsys, "list")
    assert code == 0
    assert "tiny: MANet-18, 4 x 32 x 32 over 1.9 s, rgb, fp32, UNTRAINED" in out
    assert "broken: broken: expected" in out
    assert all(name in out for name in (*RUNTIMES, "untrained-small"))


def test_compare_prints_differences_and_times(small_bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "compare", small_bundle.path, "--count", "2", "--threads", "1")
    assert code == 0
    assert len(out.splitlines()) == sum(bool(kind.availability()) for kind in RUNTIMES.values()) - 1
    assert "ms" in out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("import", "absent.pth", "--out", "new"), "a checkpoint file"),
        (("init", "--out", "new", "--set", "width=12"), "a network that can be built"),
        (("init", "--out", "new", "--set", "width"), "--set KEY=VALUE"),
        (("init", "--out", "new", "--set", "wdth=8"), "it has depth=50, width=64"),
        (("init", "--out", "new", "--network", "resnet"), "a network of manet, "),
        (("init", "--out", "new", "--set", "size=4"), "a network that can be built"),
        (("init", "--out", "new", "--seed", "-1"), "a seed of 0 or more"),
        (("init", "--out", ".hidden"), "a name of up to 64"),
        (("init", "--out", "new", "--name", "a/b"), "a name of up to 64"),
        (("init", "--out", "taken"), "a new folder"),
        (("export", "absent", "--out", "new"), "a bundle folder (with card.json) or a model's name"),
        (
            ("export", "untrained-small", "--checkpoint", "new.pth", "--layout", "caffe"),
            "a layout of official, torchvision",
        ),
        (("compare", "untrained-small", "--runtimes", "magic"), "a runtime of auto"),
        (("compare", "untrained-small", "--threads", "-2"), "0 or more threads"),
    ],
)
def test_user_mistakes_are_one_line_and_exit_2(
    arguments: tuple[str, ...],
    complaint: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").mkdir()
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("manet-live: error: expected ")
    assert complaint in err
    assert err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_a_failing_model_exits_1(small_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clips, logits = small_bundle.reference()
    spoilt = small_bundle.derive(tmp_path / "spoilt", reference=Reference.of_clips(clips, logits + 1))
    code, _, err = run(capsys, "compare", spoilt.path, "--runtimes", "onnxruntime,torch")
    assert code == 1
    assert err.startswith("manet-live: failed: onnxruntime differs from the reference logits by ")
    assert err.count("\n") == 1


@pytest.mark.long
def test_runs_as_a_module_with_clean_output(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "engines", "init", "--out", str(tmp_path / "tiny"), *TINY],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1
    done = subprocess.run(
        [sys.executable, "-m", "engines", "init"], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 2
