"""An emotion model on labelled pictures of faces: `CLASS/picture`, classes of the five emotions and `neutral`.

Every picture is shown to the live path's own view and estimate as a recording that does not move, for one window.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from engines.bundle import Bundle, find
from engines.common.errors import BadInput
from engines.runtimes import open_runtime
from engines.taxonomy import EMOTIONS
from realtime.analysis.emotion import EmotionModel, Fusion, Reading
from realtime.analysis.window import SlidingEmotionWindow
from realtime.capture.order import ViewSpec
from realtime.capture.sources import FileSpec
from realtime.capture.sources.base import Image
from realtime.capture.views.make import fetch_models, make_view
from realtime.clock import NS_PER_S, to_ns
from realtime.config import Config
from realtime.messages import EmotionWindow, Frame
from realtime.request import Request
from realtime.session import DEFAULT_MODEL

NEUTRAL = "neutral"
CLASSES = (*EMOTIONS, NEUTRAL)
SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
SHOWN = 10  # times that a picture is shown in a window; the window's frames repeat them, and steps lie between
BINS = 15  # of confidence, for the calibration error
CALLED = 0.5  # share above which a neutral face is called an emotion

UInt8Array = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Answer:
    """What was said of one picture."""

    path: Path
    label: str
    shares: tuple[float, ...]  # (5,)
    found: bool  # a face


def pictures(folder: Path) -> list[tuple[Path, str]]:
    """Every picture with its class, in the order of their names.

    Raises:
        BadInput: no such folder, a class that is none, or no picture of an emotion.
    """
    classes = ", ".join(CLASSES)
    try:
        folders = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError as error:
        raise BadInput(
            f"a folder with folders named {classes}", f"{folder} ({error.strerror})", "check the path"
        ) from None
    for path in folders:
        if path.name not in CLASSES:
            raise BadInput(f"folders named {classes}", f"{path}", "rename it or take it out")
    found = [(path, one.name) for one in folders for path in sorted(one.iterdir()) if path.suffix.lower() in SUFFIXES]
    if not any(label != NEUTRAL for _, label in found):
        raise BadInput(f"pictures in folders named {classes}", f"none of an emotion in {folder}", "check the path")
    return found


def read_picture(path: Path) -> UInt8Array:
    """uint8 (H, W, 3) RGB. Raises BadInput: it cannot be read."""
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise BadInput("a picture that can be read", f"{path} ({error.strerror})", "take it out") from None
    read = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    if read is None:
        raise BadInput("a picture that can be read", f"{path}, which is none", "take it out")
    return np.asarray(cv2.cvtColor(read, cv2.COLOR_BGR2RGB), np.uint8)


def evaluate(model: str, folder: Path, threads: int = 0) -> Iterator[Answer]:
    """What the model says of each picture.

    Raises:
        BadInput: no emotion model, pictures that cannot be used, or a model file that cannot be had.
    """
    listed = pictures(folder)
    bundle, config = Bundle.load(find(model)), Config()
    card = bundle.card
    card.need("emotion")
    actions = Bundle.load(find(DEFAULT_MODEL))
    if card.view == actions.card.view:
        spec = Request((FileSpec(str(folder)),), DEFAULT_MODEL, config).view([actions, bundle])
    else:
        size = card.size or card.pixel_faces
        spec = ViewSpec(size, face_size=card.pixel_faces, expression=not card.pixel_faces)
    fetch_models(spec)
    with open_runtime(bundle, config.engine.runtime, threads) as runtime:
        estimator = EmotionModel(bundle, runtime, config, card.size in (0, spec.size))
        for path, label in listed:
            one = judge_picture(estimator, config, spec, read_picture(path))
            yield Answer(path, label, tuple(one.shares.tolist()), one.face_visible > 0.0)


def judge_picture(model: EmotionModel, config: Config, spec: ViewSpec, pixels: UInt8Array) -> Reading:
    """One picture as a recording that does not move, up to its first window."""
    card = model.bundle.card
    span_ns = to_ns(card.span_s)
    hop_ns = to_ns(config.emotion.hop_s)
    cutter = SlidingEmotionWindow(0, model.spec.length, span_ns, hop_ns, span_ns, card.pixel_faces, model.steps)
    with contextlib.closing(make_view(spec)) as view:
        for at in range(SHOWN + 1):
            image = Image(pixels, at, at, at * -(-span_ns // SHOWN))
            body, framing = view.apply(image)
            face, numbers = view.face(image) if spec.face_size else None, view.expression(image)
            landmarks = view.landmarks()
            frame = Frame(
                0, at, at, image.media_ns, body, face, framing=framing, landmarks=landmarks, expression=numbers
            )
            for window in cutter.push(frame, at):
                if isinstance(window, EmotionWindow):
                    return Fusion(model, config).take(window, model.judged(window))
    raise RuntimeError(f"expected a window within {span_ns / NS_PER_S:g} s of pictures")


def scores(answers: Sequence[Answer]) -> dict[str, float | None]:
    """`accuracy`, `uar`, `macro_f1` and `ece` over pictures of an emotion; `found` over all; None: nothing to count.

    A picture without a found face counts as wrong.
    """
    felt = [one for one in answers if one.label != NEUTRAL]
    truth = np.array([EMOTIONS.index(one.label) for one in felt])
    said = np.array([int(np.argmax(one.shares)) if one.found else -1 for one in felt])
    right, sure = truth == said, np.array([max(one.shares) for one in felt])
    recalls, f1s = [], []
    for place in np.unique(truth):
        hits = float((right & (truth == place)).sum())
        recalls.append(hits / float((truth == place).sum()))
        f1s.append(2.0 * hits / float((truth == place).sum() + (said == place).sum()))
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    errors = [abs(float(right[bins == one].sum() - sure[bins == one].sum())) for one in np.unique(bins)]
    calm = [max(one.shares) > CALLED for one in answers if one.label == NEUTRAL]
    return {
        "accuracy": float(right.mean()),
        "uar": float(np.mean(recalls)),
        "macro_f1": float(np.mean(f1s)),
        "ece": sum(errors) / len(felt),
        "found": float(np.mean([one.found for one in answers])),
        "neutral_called_emotion": float(np.mean(calm)) if calm else None,
    }


def print_emotion(answers: Sequence[Answer], title: str, console: Console) -> None:
    """The scores, and what was said of each class."""
    table = Table(title=f"{title}: {len(answers)} pictures")
    for name in ("class", *EMOTIONS, "no face", "pictures"):
        table.add_column(name, justify="left" if name == "class" else "right")
    for label in CLASSES:
        of_class = [one for one in answers if one.label == label]
        said = [EMOTIONS[int(np.argmax(one.shares))] if one.found else "" for one in of_class]
        if of_class:
            table.add_row(label, *(str(said.count(name)) for name in (*EMOTIONS, "")), str(len(of_class)))
    console.print(table)
    for name, value in scores(answers).items():
        console.print(f"{name}: {'–' if value is None else f'{value:.3f}'}")
