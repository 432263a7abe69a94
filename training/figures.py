"""The paper's pictures (Figs. 4 to 6): per-clip probabilities, t-SNE of the features, confusion matrices."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from engines.taxonomy import ACTIONS, BODY_PARTS
from training.metrics import PART_OF, body_scores, confusion_matrix

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

DPI = 110
TSNE_SEED = 52
TSNE_PERPLEXITY = 30.0  # scikit-learn's default; lowered where there are few clips


def new_figure(width: float, height: float) -> Figure:
    """A figure of this size in inches that needs no display."""
    return Figure(figsize=(width, height), layout="constrained")


def save_figure(figure: Figure, path: Path) -> None:
    """Write a PNG; the same figure gives the same bytes."""
    figure.savefig(path, dpi=DPI, metadata={"Software": None})


def plot_confusion(true: IntArray, predicted: Mapping[str, IntArray], path: Path, *, coarse: bool) -> None:
    """Confusion matrices side by side, each row as shares of the true class (Fig. 6).

    Args:
        true: (N,) classes.
        predicted: (N,) classes, by the models' names.
        path: PNG to write.
        coarse: the classes are the 7 body parts, not the 52 actions.
    """
    names = list(BODY_PARTS) if coarse else [f"{action.code} {action.name}" for action in ACTIONS]
    width, height = (5.5, 5.0) if coarse else (15.0, 14.0)
    figure = new_figure(width * len(predicted), height)
    for at, (model, classes) in enumerate(predicted.items(), 1):
        counts = confusion_matrix(true, classes, len(names))
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        axes = figure.add_subplot(1, len(predicted), at)
        picture = axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
        axes.set_xticks(range(len(names)), names, rotation=90)
        axes.set_yticks(range(len(names)), names)
        axes.set(xlabel="predicted", ylabel="true", title=model)
        axes.tick_params(labelsize=8 if coarse else 6)
        figure.colorbar(picture, ax=axes, shrink=0.7, label="share of the true class")
    save_figure(figure, path)


def plot_features(features: Mapping[str, FloatArray], true: IntArray, path: Path, *, coarse: bool) -> None:
    """t-SNE of the features before the classifier, coloured by class, side by side (Fig. 5).

    Args:
        features: (N, C), N at least 3, by the models' names.
        true: (N,) action indices.
        path: PNG to write.
        coarse: colour by body part, not by action.
    """
    from sklearn.manifold import TSNE

    perplexity = min(TSNE_PERPLEXITY, (len(true) - 1) / 3.0)
    classes, names = (PART_OF[true], BODY_PARTS) if coarse else (true, tuple(action.code for action in ACTIONS))
    colors = matplotlib.colormaps["tab10" if coarse else "gist_ncar"]
    figure = new_figure(1.5 + 6.0 * len(features), 6.0)
    for at, (model, found) in enumerate(features.items(), 1):
        places = TSNE(perplexity=perplexity, init="pca", random_state=TSNE_SEED).fit_transform(found)  # (N, 2)
        axes = figure.add_subplot(1, len(features), at)
        for index in np.unique(classes):
            shown = classes == index
            color = colors(int(index)) if coarse else colors(index / len(names))
            label = names[index] if at == 1 else None
            axes.scatter(places[shown, 0], places[shown, 1], s=8, color=[color], label=label)
        axes.set(title=model, xticks=[], yticks=[])
    figure.legend(loc="outside right center", fontsize=8 if coarse else 5, ncols=1 if coarse else 2, markerscale=2)
    save_figure(figure, path)


def plot_clip(probs: Mapping[str, FloatArray], name: str, true: int | None, path: Path) -> None:
    """One clip's probabilities of actions and body parts (Fig. 4).

    Args:
        probs: (52,), by the models' names.
        name: of the clip.
        true: the action's index, marked where it is known.
        path: PNG to write.
    """
    figure = new_figure(12.0, 3.2)
    grid = figure.add_gridspec(1, 2, width_ratios=(5, 1))
    part = None if true is None else int(PART_OF[true])
    for at, (labels, mark) in enumerate((([action.code for action in ACTIONS], true), (list(BODY_PARTS), part))):
        axes = figure.add_subplot(grid[at])
        for model, values in probs.items():
            shown = values if at == 0 else body_scores(values[None], "sum")[0]
            axes.plot(range(len(shown)), shown, marker=".", label=model)
        if mark is not None:
            axes.axvline(mark, color="tab:green", linestyle=":", label="true")
        axes.set_xticks(range(len(labels)), labels, rotation=90, fontsize=7)
        axes.set_ylim(0.0, 1.0)
    figure.axes[0].legend(fontsize="small")
    tops = ", ".join(f"{model} {ACTIONS[int(one.argmax())].name} ({one.max():.2f})" for model, one in probs.items())
    title = f"{name}: {tops}" + ("" if true is None else f", true {ACTIONS[true].name}")
    figure.suptitle(title, fontsize="medium")
    save_figure(figure, path)
