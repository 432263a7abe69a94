from __future__ import annotations

import dataclasses
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from engines import bundle as bundles
from engines.bundle import CARD_FILE, ONNX_FILE, REFERENCE_FILE, Bundle, Reference, find, known
from engines.card import (
    DRAWING,
    LABELS,
    Calibration,
    ModelCard,
    Parity,
    PartCalibration,
    Provenance,
    from_json,
    to_json,
)
from engines.common.errors import BadInput
from engines.specs.manet import MANetSpec
from engines.taxonomy import ACTIONS

Copy = Callable[[], Path]
SPEC = MANetSpec(depth=18, width=8, size=32, length=4)


def card(**changes: object) -> ModelCard:
    fields: dict[str, object] = {
        "name": "tiny",
        "network": SPEC,
        "intended_use": "tests",
        "provenance": Provenance(trained=False, trained_on="nothing"),
    }
    return ModelCard(**{**fields, **changes})


def reference(count: int = 1) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((count, 4, 32, 32, 3), np.uint8), np.linspace(-1, 1, count * 52, dtype=np.float32).reshape(-1, 52)


def refused(path: Path) -> str:
    with pytest.raises(BadInput) as caught:
        Bundle.load(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_load_gives_back_what_was_written(small_bundle: Bundle) -> None:
    again = Bundle.load(small_bundle.path)
    assert again == small_bundle
    assert again.card.labels == tuple(action.name for action in ACTIONS)
    assert (again.card.length, again.card.size, again.card.trained) == (8, 64, False)
    clips, logits = again.reference()
    assert clips.shape == (2, 8, 64, 64, 3)
    assert logits.shape == (2, 52)
    assert not list(small_bundle.path.parent.glob(".*")), "nothing is left beside the bundle"


@pytest.mark.parametrize("name", [CARD_FILE, ONNX_FILE, REFERENCE_FILE])
def test_any_changed_byte_is_refused(copied: Copy, name: str) -> None:
    path = copied()
    file = path / name
    data = file.read_bytes()
    chance = random.Random(1)
    places = range(len(data)) if name == CARD_FILE else [0, len(data) - 1, *chance.sample(range(len(data)), 20)]
    for place in places:
        changed = bytearray(data)
        changed[place] ^= chance.choice([1, 0x20, 0x80]) if name != CARD_FILE else 1
        file.write_bytes(changed)
        assert str(path) in refused(path)
    if name == CARD_FILE:
        for changed in (data + b"\n", data.replace(b"  ", b"\t", 1), data[:-1], b"", b"\xff" * 9, b"[" * 100_000):
            file.write_bytes(changed)
            refused(path)
    file.write_bytes(data)
    Bundle.load(path)


@pytest.mark.parametrize("name", [CARD_FILE, ONNX_FILE, REFERENCE_FILE])
def test_a_missing_file_is_named(copied: Copy, name: str) -> None:
    path = copied()
    (path / name).unlink()
    assert name in refused(path)


def test_unknown_fields_and_other_labels_are_named_even_when_sealed_again(copied: Copy) -> None:
    path = copied()
    fields = json.loads((path / CARD_FILE).read_text())
    fields["colour"] = "bgr"
    (path / CARD_FILE).write_text(json.dumps(fields))
    assert "colour" in refused(path)
    del fields["colour"]
    fields["labels"][3:5] = fields["labels"][4:2:-1]
    (path / CARD_FILE).write_text(json.dumps(fields))
    assert "expected 'turning around' at index 3, got 'rising up'" in refused(path)


def test_a_reference_that_does_not_fit_is_refused_even_when_sealed(copied: Copy) -> None:
    path = copied()
    sealed = from_json((path / CARD_FILE).read_bytes())

    def reseal(**arrays: np.ndarray) -> str:
        np.savez_compressed(path / REFERENCE_FILE, **arrays)
        files = {ONNX_FILE: sealed.files[ONNX_FILE], REFERENCE_FILE: bundles.digest_file(path / REFERENCE_FILE)}
        (path / CARD_FILE).write_bytes(to_json(sealed.sealed(files)))
        return refused(path)

    clips, logits = np.zeros((1, 8, 64, 64, 3), np.uint8), np.zeros((1, 52), np.float32)
    assert "clips" in reseal(clips=clips[:, :4], logits=logits)
    assert "logits" in reseal(clips=clips, logits=logits.astype(np.float64))
    assert "logits" in reseal(clips=clips, logits=np.full((1, 52), np.nan, np.float32))
    assert "clips" in reseal(logits=logits)
    assert "allow_pickle" in reseal(clips=np.array([print, None], object), logits=logits)
    assert "bytes unpacked" in reseal(clips=np.zeros((100, 8, 64, 64, 3), np.uint8), logits=logits)


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("calibration", "temperature", 0.0),
        ("calibration", "enter", [0.5] * 51),
        ("calibration", "enter", 1.5),
        ("parity", "relative_tolerance", 0.0),
        ("provenance", "source", "models/best.pth"),
        ("provenance", "source_sha256", "abc"),
        ("network", "depth", 20),
    ],
)
def test_values_out_of_bounds_are_refused(name: str, field: str, value: object) -> None:
    fields = json.loads(to_json(card()))
    fields[name][field] = value
    with pytest.raises(ValueError, match=name):
        from_json(json.dumps(fields).encode())


def test_thresholds_must_leave_room_for_hysteresis() -> None:
    Calibration(enter=0.5, exit=(0.5,) * 52)
    with pytest.raises(ValueError, match="is above enter"):
        Calibration(enter=0.5, exit=(0.4,) * 51 + (0.6,))
    with pytest.raises(ValueError, match=LABELS[51]):
        Calibration(enter=0.5, exit=(0.4,) * 51 + (0.6,))


def test_write_is_all_or_nothing(tmp_path: Path) -> None:
    clips, logits = reference()
    target = tmp_path / "deep" / "tiny"
    with pytest.raises(ValueError, match="logits"):
        Bundle.write(target, card(), b"onnx", Reference.of_clips(clips, logits[:, :51]))
    with pytest.raises(ValueError, match="name"):
        Bundle.write(target, card(name="../tiny"), b"onnx", Reference.of_clips(clips, logits))
    with pytest.raises(FileNotFoundError):
        Bundle.write(target, card(), tmp_path / "absent.onnx", Reference.of_clips(clips, logits))
    assert list(tmp_path.glob("deep/*")) == list(tmp_path.glob("deep/.*")) == []
    Bundle.write(target, card(), b"onnx", Reference.of_clips(clips, logits))
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["tiny"]


def test_write_replaces_only_bundles_and_only_when_told(tmp_path: Path) -> None:
    answers = Reference.of_clips(*reference())
    target = tmp_path / "tiny"
    Bundle.write(target, card(), b"one", answers)
    with pytest.raises(BadInput, match="holds a bundle"):
        Bundle.write(target, card(), b"two", answers)
    assert Bundle.write(target, card(), b"two", answers, overwrite=True).onnx_path.read_bytes() == b"two"
    (target / "notes.txt").write_text("mine")
    with pytest.raises(BadInput, match="is no bundle"):
        Bundle.write(target, card(), b"three", answers, overwrite=True)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(BadInput, match="is no bundle"):
        Bundle.write(tmp_path / "file", card(), b"three", answers, overwrite=True)
    with pytest.raises(BadInput, match="can be written"):
        Bundle.write(tmp_path / "file" / "below", card(), b"three", answers)
    assert {p.name for p in tmp_path.iterdir()} == {"tiny", "file"}


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    answers = Reference.of_clips(*reference(2))
    made = [Bundle.write(tmp_path / str(i) / "tiny", card(), b"onnx", answers).path for i in range(2)]
    for name in (CARD_FILE, REFERENCE_FILE):
        assert (made[0] / name).read_bytes() == (made[1] / name).read_bytes()


def test_derived_bundles_keep_their_provenance(small_bundle: Bundle, tmp_path: Path) -> None:
    calibration = Calibration(temperature=2.0, enter=0.6, exit=0.3, basis="made up")
    derived = small_bundle.derive(tmp_path / "derived", calibration=calibration, parity=Parity(0.02), name="derived")
    assert derived.card.calibration == calibration
    assert derived.card.provenance == small_bundle.card.provenance
    assert derived.onnx_path.read_bytes() == small_bundle.onnx_path.read_bytes()
    for change in ({"provenance": Provenance(trained=True, trained_on="hope")}, {"labels": LABELS}):
        with pytest.raises(ValueError, match="keeps provenance"):
            small_bundle.derive(tmp_path / "other", **change)
    with pytest.raises(msgspec.ValidationError):
        small_bundle.derive(tmp_path / "other", span_s=-1.0)


def test_a_model_that_learnt_from_other_drawings_is_refused(tmp_path: Path) -> None:
    bundle = Bundle.write(tmp_path / "new", card(view="landmarks"), b"x", Reference.of_clips(*reference()))
    assert bundle.card.drawing == DRAWING
    assert bundle.derive(tmp_path / "rgb", view="rgb").card.drawing is msgspec.UNSET
    for drawing, named in ((msgspec.UNSET, "1"), (DRAWING + 1, str(DRAWING + 1))):
        other = msgspec.structs.replace(bundle.card, drawing=drawing, seal="")
        other = msgspec.structs.replace(other, seal=other.digest())
        (bundle.path / CARD_FILE).write_bytes(to_json(other))
        line = refused(bundle.path)
        assert f"drawings ({DRAWING})" in line
        assert f"another version's ({named})" in line


def test_probabilities_are_softmax_at_the_cards_temperature(small_bundle: Bundle) -> None:
    logits = np.array([[0.0] * 50 + [2.0, 4.0], [1e4] + [-1e4] * 51], np.float32)
    cool = dataclasses.replace(
        small_bundle, card=msgspec.structs.replace(small_bundle.card, calibration=Calibration(temperature=2.0))
    )
    probs = cool.probabilities(logits)
    assert probs.dtype == np.float32
    assert probs.sum(axis=1) == pytest.approx(1.0)
    assert probs[0, 51] / probs[0, 50] == pytest.approx(np.e, rel=1e-5)
    assert probs[1, 0] == 1.0
    assert cool.probabilities(logits[0]).shape == (52,)


def test_sigmoid_probabilities_take_each_action_by_itself(small_bundle: Bundle) -> None:
    assert Calibration().activation == "softmax"
    logits = np.array([[0.0, 2.0, -2.0, 1e4, -1e4] + [0.0] * 47], np.float32)
    each = dataclasses.replace(
        small_bundle,
        card=msgspec.structs.replace(small_bundle.card, calibration=Calibration(activation="sigmoid", temperature=2.0)),
    )
    probs = each.probabilities(logits)
    assert (probs.dtype, probs.shape) == (np.float32, (1, 52))
    assert probs[0, :5] == pytest.approx([0.5, 1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1)), 1.0, 0.0])
    with pytest.raises(msgspec.ValidationError):
        small_bundle.derive(small_bundle.path.with_name("unknown"), calibration=Calibration(activation="relu"))  # type: ignore[arg-type]


def test_models_are_found_by_folder_or_name(
    small_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find(small_bundle.path) == small_bundle.path
    assert find(str(small_bundle.path)) == small_bundle.path
    shipped = find("untrained-small")
    users = tmp_path / "models"
    monkeypatch.setattr(bundles.platformdirs, "user_data_dir", lambda name: str(tmp_path))
    shutil.copytree(small_bundle.path, users / "mine")
    shutil.copytree(small_bundle.path, users / "untrained-small")  # does not hide the shipped one
    assert find("mine") == users / "mine"
    assert find("untrained-small") == shipped
    assert set(known()) == {"mine", "emotions", "landmarks", "landmarks-small", "untrained-small"}
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()  # a folder that is no bundle does not hide a model
    assert find("mine") == users / "mine"
    for unknown in ("absent", "../models/absent", "", str(tmp_path)):
        with pytest.raises(BadInput, match="known models: emotions, landmarks, landmarks-small, untrained-small, mine"):
            find(unknown)


def test_the_untrained_model_is_whole_and_says_so() -> None:
    shipped = Bundle.load(find("untrained-small"))
    assert not shipped.card.trained
    assert shipped.card.name == "untrained-small"
    assert "untrained" in shipped.card.provenance.trained_on
    assert "python -m engines init --seed 0" in shipped.card.provenance.made_with
    assert sum((shipped.path / name).stat().st_size for name in (CARD_FILE, ONNX_FILE, REFERENCE_FILE)) < 3 << 20
    for name in (CARD_FILE, ONNX_FILE):  # traces of the machine it was made on
        assert not any(word in (shipped.path / name).read_bytes() for word in (b"site-packages", b"/home", b".py"))


def test_a_part_is_as_likely_as_any_of_its_actions_unless_it_is_scored(small_bundle: Bundle) -> None:
    def of(activation: str, parts: PartCalibration | msgspec.UnsetType) -> Bundle:
        calibration = Calibration(activation=activation, parts=parts)  # type: ignore[arg-type]
        return dataclasses.replace(
            small_bundle, card=msgspec.structs.replace(small_bundle.card, calibration=calibration)
        )

    probs = np.zeros((2, 52), np.float32)
    probs[0, [5, 6]] = 0.5, 0.2  # of the head
    probs[1, 51] = 0.75  # of leg and hand
    assert of("sigmoid", msgspec.UNSET).part_probabilities(probs) is None
    each, one = (of(name, PartCalibration()).part_probabilities(probs) for name in ("sigmoid", "softmax"))
    assert each is not None
    assert one is not None
    assert each.dtype == one.dtype == np.float32
    assert each == pytest.approx(np.array([[0, 0.6, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0.75]]))
    assert one == pytest.approx(np.array([[0, 0.7, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0.75]]))
    logits = np.array([[0, 2, -2, 4, 0, 0, 0]], np.float32)
    scored = of("softmax", PartCalibration(temperature=2.0)).part_probabilities(probs[:1], logits)
    assert scored == pytest.approx(1.0 / (1.0 + np.exp(-logits / 2.0)))


def test_limits_of_parts_are_checked() -> None:
    with pytest.raises(ValueError, match="enter needs one value or 7, got 6"):
        PartCalibration(enter=(0.5,) * 6)
    with pytest.raises(ValueError, match=r"exit \(0.6\) is above enter \(0.5\) for leg-hand"):
        PartCalibration(enter=0.5, exit=(0.4,) * 6 + (0.6,))
    with pytest.raises(ValueError, match="min_duration_s needs one value or 52, got 2"):
        Calibration(min_duration_s=(0.1, 0.2))
