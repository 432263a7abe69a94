"""The model bundle: a sealed folder with a card, one ONNX file, reference inputs and the weights; all that the packages
exchange.

The seal shows that nothing changed since the bundle was made. It does not say who made it.
"""

from __future__ import annotations

import contextlib
import io
import re
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import platformdirs

from engines.card import DRAWING, NAME_PATTERN, ModelCard, from_json, to_json
from engines.common.digest import digest_file
from engines.common.errors import BadInput
from engines.specs.base import Spec
from engines.taxonomy import ACTIONS, BODY_PARTS

AnyArray = npt.NDArray[Any]
UInt8Array = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]

CARD_FILE = "card.json"
ONNX_FILE = "model.onnx"
REFERENCE_FILE = "reference.npz"
WEIGHTS_FILE = "weights.safetensors"  # fp32, of the network that the card names; bundles of earlier versions lack it
FILES = {ONNX_FILE, REFERENCE_FILE}  # of every bundle
ENGINES_FOLDER = "engines"  # machine-made, never sealed, never shipped

MAX_CARD_BYTES = 1 << 20
MAX_REFERENCE_CLIPS = 16
_FIX = "use an unchanged copy, or make the bundle again"


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """What a model must answer to K inputs, by the names of its graph's tensors."""

    inputs: Mapping[str, AnyArray]  # (K, ...) each
    outputs: Mapping[str, Float32Array]  # (K, ...) each; the first of the network's outputs, or all of them

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))

    @classmethod
    def of_clips(cls, clips: UInt8Array, logits: Float32Array) -> Reference:
        """Of a micro-action model: clips uint8 (K, T, S, S, 3) and logits float32 (K, 52)."""
        return cls({"clips": clips}, {"logits": logits})


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle. Make one with `load`, `write` or `derive`."""

    path: Path
    card: ModelCard

    @property
    def onnx_path(self) -> Path:
        """The network: what its spec's `inputs` and `outputs` say, with a leading N."""
        return self.path / ONNX_FILE

    @property
    def weights_path(self) -> Path | None:
        """The network's weights by the names of its state_dict."""
        return self.path / WEIGHTS_FILE if WEIGHTS_FILE in self.card.files else None

    @property
    def engines_path(self) -> Path:
        """Where machine-made caches of this bundle go; it may not exist or not be writable."""
        return self.path / ENGINES_FOLDER

    @classmethod
    def load(cls, path: Path | str) -> Bundle:
        """Open a bundle and verify all of it: fields, labels, spelling, seal and every file's digest.

        Raises:
            BadInput: anything is missing, unknown or changed, or the model has learnt from other drawings than this
                version makes; the line names it.
        """
        path = Path(path)
        card = _load_card(path)
        for name, digest in card.files.items():
            try:
                got = digest_file(path / name)
            except OSError as error:
                raise BadInput("a whole bundle", f"{path / name} ({error.strerror})", _FIX) from None
            if got != digest:
                raise BadInput(f"{path / name} with SHA-256 {digest[:12]}…", f"{got[:12]}…", _FIX)
        bundle = cls(path, card)
        bundle.reference_arrays()
        return bundle

    @classmethod
    def write(
        cls,
        path: Path | str,
        card: ModelCard,
        onnx: bytes | Path,
        reference: Reference,
        weights: bytes | Path | None = None,
        *,
        overwrite: bool = False,
    ) -> Bundle:
        """Seal a bundle, all or nothing: it is built beside `path` and renamed into place.

        Args:
            path: the folder to make. An existing one is replaced only if it is a bundle and `overwrite` is set.
            card: its `files` and `seal` are filled in here.
            onnx: the model's bytes, or a file to copy.
            reference: K of 1 to 16 inputs, and at least the first output to them.
            weights: safetensors' bytes, or a file to copy.

        Raises:
            BadInput: `path` is taken or cannot be written.
            ValueError: the card is not valid, or the reference does not fit it.
        """
        path = Path(path)
        check_target(path, overwrite)
        card = from_json(to_json(card))  # structs check their fields only when read
        _check_reference(reference, card.network)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            made = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
        except OSError as error:
            raise BadInput("a folder that can be written", f"{path} ({error.strerror})", "choose another") from None
        try:
            contents = {ONNX_FILE: onnx} | ({} if weights is None else {WEIGHTS_FILE: weights})
            for name, content in contents.items():
                (made / name).write_bytes(content.read_bytes() if isinstance(content, Path) else content)
            # numpy writes archive members without a clock time: the same arrays give the same bytes.
            np.savez_compressed(made / REFERENCE_FILE, **reference.inputs, **reference.outputs)  # type: ignore[arg-type]
            files = {name: digest_file(made / name) for name in (*contents, REFERENCE_FILE)}
            (made / CARD_FILE).write_bytes(to_json(card.sealed(files)))
            made.chmod(0o755)  # mkdtemp makes private folders
            _swap(made, path)
        finally:
            shutil.rmtree(made, ignore_errors=True)
        return cls.load(path)

    def derive(
        self,
        path: Path | str,
        *,
        onnx: bytes | Path | None = None,
        reference: Reference | None = None,
        overwrite: bool = False,
        **changes: object,
    ) -> Bundle:
        """A new bundle from this one with card fields changed (`calibration=…`, `name=…`, `precision=…`).

        Provenance and weights are carried over: what is made from an untrained bundle stays untrained.

        Raises:
            BadInput: see `write`.
            ValueError: a change is not valid, or asks for another provenance.
        """
        if changes.keys() & {"provenance", "files", "seal", "labels"}:
            raise ValueError(f"derive keeps provenance, labels and seal, got {sorted(changes)}")
        card = msgspec.structs.replace(self.card, **changes)
        reference = reference or self.reference_arrays()
        return Bundle.write(path, card, onnx or self.onnx_path, reference, self.weights_path, overwrite=overwrite)

    def reference(self) -> tuple[UInt8Array, Float32Array]:
        """Of a micro-action model: reference clips uint8 (K, T, S, S, 3) and the logits float32 (K, 52) they must give.

        Raises:
            BadInput: it is none, or the file is not what the card describes.
        """
        self.card.need("actions")
        arrays = self.reference_arrays()
        return arrays.inputs["clips"], arrays.outputs["logits"]

    def reference_arrays(self) -> Reference:
        """Reference inputs and what they must give.

        Raises:
            BadInput: the file is not what the card describes.
        """
        path, network = self.path / REFERENCE_FILE, self.card.network
        each = np.dtype(network.input_dtype).itemsize * sum(int(np.prod(shape)) for shape in network.inputs.values())
        each += 4 * sum(int(np.prod(shape)) for shape in network.outputs.values())
        try:
            data = path.read_bytes()
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                total = sum(member.file_size for member in archive.infolist())  # bounded before it is unpacked
            if total > MAX_REFERENCE_CLIPS * each + 4096:
                raise ValueError(f"{total} bytes unpacked")
            with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
                inputs = {name: arrays[name] for name in network.inputs}
                outputs = {name: arrays[name] for name in network.outputs if name in arrays}
            reference = Reference(inputs, outputs)
            _check_reference(reference, network)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise BadInput("reference inputs that fit the card", f"{path}: {_line(error)}", _FIX) from None
        return reference

    def probabilities(self, logits: Float32Array) -> Float32Array:
        """activation(logits / temperature), softmax over the last axis or sigmoid, float32. The one place for both."""
        calibration = self.card.calibration
        scaled = np.asarray(logits, np.float64) / calibration.temperature
        if calibration.activation == "sigmoid":
            return _sigmoid(scaled)
        exp = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
        probabilities: Float32Array = (exp / exp.sum(axis=-1, keepdims=True)).astype(np.float32)
        return probabilities

    def part_probabilities(self, probs: Float32Array, logits: Float32Array | None = None) -> Float32Array | None:
        """Probabilities of the 7 body parts, (..., 7); None where the card has no limits for parts.

        Args:
            probs: (..., 52) of the actions.
            logits: (..., 7) of the parts, where the network scores them. Elsewhere a part is as likely as any of its
                actions: their sum where they exclude each other (softmax), else 1 - Π(1 - p).
        """
        calibration = self.card.calibration
        parts = calibration.parts or None
        if parts is None:
            return None
        if logits is not None:
            return _sigmoid(np.asarray(logits, np.float64) / parts.temperature)
        members = [[action.index for action in ACTIONS if action.part_index == at] for at in range(len(BODY_PARTS))]
        values = [np.asarray(probs, np.float64)[..., mine] for mine in members]
        if calibration.activation == "softmax":
            return np.stack([np.minimum(one.sum(axis=-1), 1.0) for one in values], axis=-1).astype(np.float32)
        return np.stack([1.0 - np.prod(1.0 - one, axis=-1) for one in values], axis=-1).astype(np.float32)


def _sigmoid(values: npt.NDArray[np.float64]) -> Float32Array:
    each: Float32Array = (0.5 + 0.5 * np.tanh(0.5 * values)).astype(np.float32)  # never overflows
    return each


def model_folders() -> tuple[Path, ...]:
    """Where models are looked up by name: shipped with the package, then the user's own."""
    shipped = Path(str(resources.files("engines").joinpath("models")))
    return shipped, Path(platformdirs.user_data_dir("manet-live")) / "models"


def known() -> dict[str, Path]:
    """Every model that can be named, shipped ones first; not verified."""
    found: dict[str, Path] = {}
    for folder in model_folders():
        for card in sorted(folder.glob(f"*/{CARD_FILE}")):
            if re.match(NAME_PATTERN, card.parent.name):
                found.setdefault(card.parent.name, card.parent)
    return found


def find(name_or_dir: str | Path) -> Path:
    """A bundle's folder, from its path or its name.

    Raises:
        BadInput: neither a bundle folder nor a known name; the line lists the known ones.
    """
    path = Path(name_or_dir)
    with contextlib.suppress(OSError):  # too long for a path, or a folder that is closed to us
        if str(name_or_dir) and (path / CARD_FILE).is_file():
            return path
    models = known()
    if str(name_or_dir) in models:
        return models[str(name_or_dir)]
    names = ", ".join(models) or "none"
    raise BadInput(
        "a bundle folder (with card.json) or a model's name", repr(str(name_or_dir)), f"known models: {names}"
    )


def check_target(path: Path, overwrite: bool) -> None:
    """Refuse a folder that must not be replaced; called before long work as well as by `Bundle.write`.

    Raises:
        BadInput: `path` exists and is not a bundle, or is one and `overwrite` is not set.
    """
    if not path.exists() and not path.is_symlink():
        return
    ours = {CARD_FILE, *FILES, WEIGHTS_FILE, ENGINES_FOLDER}
    is_bundle = (
        path.is_dir()
        and not path.is_symlink()
        and (path / CARD_FILE).is_file()
        and {item.name for item in path.iterdir()} <= ours
    )
    if not is_bundle:
        raise BadInput("a new folder", f"{path}, which exists and is no bundle", "choose another")
    if not overwrite:
        raise BadInput("a new folder", f"{path}, which holds a bundle", "choose another, or allow overwriting it")


def _load_card(path: Path) -> ModelCard:
    file = path / CARD_FILE
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_CARD_BYTES + 1)
        if len(data) > MAX_CARD_BYTES:
            raise ValueError(f"more than {MAX_CARD_BYTES} bytes")
        card = from_json(data)
    except OSError as error:
        raise BadInput("a model bundle", f"{file} ({error.strerror})", "give a folder that holds card.json") from None
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        raise BadInput("a valid model card", f"{file}: {_line(error)}", _FIX) from None
    if card.digest() != card.seal or to_json(card) != data:
        raise BadInput(f"{file} as it was sealed", "a changed card", _FIX)
    if card.files.keys() - {WEIGHTS_FILE} != FILES:
        raise BadInput(f"digests of {ONNX_FILE} and {REFERENCE_FILE} in {file}", str(sorted(card.files)), _FIX)
    if card.view == "landmarks" and card.drawing != DRAWING:
        raise BadInput(
            f"a model of this version's landmark drawings ({DRAWING})",
            f"{file}, of another version's ({card.drawing or 1})",
            "train it again on these",
        )
    return card


def _check_reference(reference: Reference, network: Spec) -> None:
    first = next(iter(network.outputs))
    if reference.inputs.keys() != network.inputs.keys() or first not in reference.outputs:
        raise ValueError(
            f"expected {', '.join(network.inputs)} and {first}, "
            f"got {', '.join([*reference.inputs, *reference.outputs])}"
        )
    count = len(reference) if next(iter(reference.inputs.values())).ndim else 0
    dtype = network.input_dtype
    for name, values in reference.inputs.items():
        shape = network.inputs[name]
        if not 1 <= count <= MAX_REFERENCE_CLIPS or values.dtype != dtype or values.shape != (count, *shape):
            raise ValueError(
                f"{name}: expected {dtype} (1..{MAX_REFERENCE_CLIPS}, {', '.join(map(str, shape))}), "
                f"got {values.dtype} {values.shape}"
            )
    for name, values in reference.outputs.items():
        shape = (count, *network.outputs[name])
        if values.dtype != np.float32 or values.shape != shape or not np.isfinite(values).all():
            raise ValueError(f"{name}: expected finite float32 {shape}, got {values.dtype} {values.shape}")


def _swap(made: Path, path: Path) -> None:
    """Rename `made` to `path`; a bundle already there is set aside first and put back if that fails."""
    if not path.exists():
        made.rename(path)
        return
    aside = made.with_name(made.name + ".old")
    path.rename(aside)
    try:
        made.rename(path)
    except OSError:
        aside.rename(path)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
