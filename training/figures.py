"""The paper's pictures (Figs. 4 to 6): per-clip probabilities, t-SNE of the features, confusion matrices."""

from __future__ import annotations

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


def plot_confusion(true: IntArray, predicted: IntArray, path: Path, *, coarse: bool) -> None:
    """Confusion matrix, each row as shares of the true class (Fig. 6).

    Args:
        true: (N,) classes.
        predicted: (N,) classes.
        path: PNG to write.
        coarse: the classes are the 7 body parts, not the 52 actions.
    """
    names = list(BODY_PARTS) if coarse else [f"{action.code} {action.name}" for action in ACTIONS]
    counts = confusion_matrix(true, predicted, len(names))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = new_figure(5.5, 5.0) if coarse else new_figure(15.0, 14.0)
    axes = figure.add_subplot()
    picture = axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    axes.set_xticks(range(len(names)), names, rotation=90)
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="predicted", ylabel="true")
    axes.tick_params(labelsize=8 if coarse else 6)
    figure.colorbar(picture, ax=axes, shrink=0.7, label="share of the true class")
    save_figure(figure, path)


def plot_features(features: FloatArray, true: IntArray, path: Path, *, coarse: bool) -> None:
    """t-SNE of the features before the classifier, coloured by class (Fig. 5).

    Args:
        features: (N, C), N at least 3.
        true: (N,) action indices.
        path: PNG to write.
        coarse: colour by body part, not by action.
    """
    from sklearn.manifold import TSNE

    perplexity = min(TSNE_PERPLEXITY, (len(features) - 1) / 3.0)
    places = TSNE(perplexity=perplexity, init="pca", random_state=TSNE_SEED).fit_transform(features)  # (N, 2)
    classes, names = (PART_OF[true], BODY_PARTS) if coarse else (true, tuple(action.code for action in ACTIONS))
    figure = new_figure(7.5, 6.0)
    axes = figure.add_subplot()
    colors = matplotlib.colormaps["tab10" if coarse else "gist_ncar"]
    for index in np.unique(classes):
        shown = classes == index
        color = colors(int(index)) if coarse else colors(index / len(names))
        axes.scatter(places[shown, 0], places[shown, 1], s=8, color=[color], label=names[index])
    axes.set_xticks([])
    axes.set_yticks([])
    figure.legend(loc="outside right center", fontsize=8 if coarse else 5, ncols=1 if coarse else 2, markerscale=2)
    save_figure(figure, path)


def plot_clip(probs: FloatArray, name: str, true: int | None, path: Path) -> None:
    """One clip's probabilities of actions and body parts (Fig. 4).

    Args:
        probs: (52,).
        name: of the clip.
        true: the action's index, marked where it is known.
        path: PNG to write.
    """
    parts = body_scores(probs[None], "sum")[0]
    figure = new_figure(12.0, 3.2)
    grid = figure.add_gridspec(1, 2, width_ratios=(5, 1))
    top = ACTIONS[int(probs.argmax())]
    title = f"{name}: {top.name} ({probs.max():.2f})" + ("" if true is None else f", true: {ACTIONS[true].name}")
    for at, (values, names, mark) in enumerate(
        (
            (probs, [action.code for action in ACTIONS], true),
            (parts, list(BODY_PARTS), None if true is None else int(PART_OF[true])),
        )
    ):
        axes = figure.add_subplot(grid[at])
        axes.plot(range(len(values)), values, marker=".")
        if mark is not None:
            axes.axvline(mark, color="tab:green", linestyle=":", label="true")
            axes.legend(fontsize="small")
        axes.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
        axes.set_ylim(0.0, 1.0)
    figure.suptitle(title, fontsize="medium")
    save_figure(figure, path)
