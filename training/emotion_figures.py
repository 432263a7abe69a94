"""The pictures of the paper's section on emotions (Figs. 8 to 11), of any emotion model's answers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from engines.taxonomy import ACTIONS, BODY_PARTS, EMOTIONS, LOWER_LIMB_PARTS
from training.figures import new_figure, save_figure
from training.metrics import PART_OF, PURE, EmotionPredictions

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

FILES = ("branches.png", "lists.png", "confusion.png", "parts.png")  # Figs. 8, 9, 10, 11
CASES = 4  # windows in Figs. 8 and 9
_BARS = 0.8  # width of a group of them


def draw_figures(found: Mapping[str, EmotionPredictions], indices: tuple[int, ...], out: Path) -> None:
    """All four into a folder.

    Args:
        found: answers to the same windows by what of the network saw them, the whole of it first.
        indices: MA-52 indices that its actions speak of, A of them; may be none.
    """
    full = next(iter(found.values()))
    plot_branches(found, out / FILES[0])
    if indices:
        plot_lists(full, indices, out / FILES[1])
        plot_confusion(full, indices, out / FILES[2])
        plot_parts(full, indices, out / FILES[3])


def cases(found: Mapping[str, EmotionPredictions]) -> list[int]:
    """Windows of one emotion to show: those first that a branch alone gets wrong and the whole gets right."""
    full, *parts = found.values()
    true = full.felt[:, : len(EMOTIONS)]
    right = [one.emotion.argmax(axis=1) == true.argmax(axis=1) for one in (full, *parts)]
    helped = right[0] & ~np.all(right, axis=0)
    pure = true.max(axis=1) >= PURE
    order = np.lexsort((np.arange(len(pure)), ~helped, ~pure))
    return [int(at) for at in order[:CASES]]


def shares(logits: FloatArray) -> FloatArray:
    """(..., 5) → probabilities."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def plot_branches(found: Mapping[str, EmotionPredictions], path: Path) -> None:
    """Histograms of the emotions by each branch alone and by both (Fig. 8)."""
    chosen, full = cases(found), next(iter(found.values()))
    figure = new_figure(3.2 * len(chosen), 3.0)
    for place, at in enumerate(chosen, 1):
        axes = figure.add_subplot(1, len(chosen), place)
        for number, (name, one) in enumerate(found.items()):
            width = _BARS / len(found)
            axes.bar(np.arange(len(EMOTIONS)) + number * width, shares(one.emotion[at]), width, label=name)
        _emotions(axes, full.felt[at], (_BARS - _BARS / len(found)) / 2)
    figure.axes[0].legend(fontsize="small")
    save_figure(figure, path)


def plot_lists(found: EmotionPredictions, indices: tuple[int, ...], path: Path) -> None:
    """Predicted and true micro-actions of some windows, and the histogram of the emotions (Fig. 9)."""
    count = found.done.sum(axis=1)
    pure = found.felt[:, : len(EMOTIONS)].max(axis=1) >= PURE
    chosen = np.lexsort((np.arange(len(count)), -count, ~pure))[:CASES]
    said = predicted(found)
    figure = new_figure(3.6 * len(chosen), 5.0)
    for place, at in enumerate(chosen, 1):
        axes = figure.add_subplot(2, len(chosen), place)
        axes.bar(range(len(EMOTIONS)), shares(found.emotion[at]), _BARS)
        _emotions(axes, found.felt[at], 0.0)
        names = [f"{ACTIONS[index].code} {ACTIONS[index].name}" for index in indices]
        lists = ((name, [names[one] for one in np.flatnonzero(row)]) for name, row in _rows(found, said, int(at)))
        text = "\n\n".join(f"{name}:\n" + ("\n".join(listed) or "none") for name, listed in lists)
        words = figure.add_subplot(2, len(chosen), len(chosen) + place)
        words.axis("off")
        words.text(0.0, 1.0, text, va="top", fontsize="small")
    save_figure(figure, path)


def plot_confusion(found: EmotionPredictions, indices: tuple[int, ...], path: Path) -> None:
    """Confusion matrices of labels that occur together, of actions and of body parts (Fig. 10)."""
    fine, said = found.done > 0.5, predicted(found)
    parts = PART_OF[list(indices)]
    names = [[f"{ACTIONS[index].code}" for index in indices], list(BODY_PARTS)]
    figure = new_figure(18.0, 9.0)
    for place, (true, answer) in enumerate(((fine, said), (_by_part(fine, parts), _by_part(said, parts)))):
        axes = figure.add_subplot(1, 2, place + 1)
        picture = axes.imshow(multi_label_confusion(true, answer), cmap="Blues", vmin=0.0, vmax=1.0)
        axes.set_xticks(range(len(names[place])), names[place], rotation=90)
        axes.set_yticks(range(len(names[place])), names[place])
        axes.set(xlabel="predicted", ylabel="true")
        axes.tick_params(labelsize=6 if place == 0 else 8)
        figure.colorbar(picture, ax=axes, shrink=0.6, label="share of the true label")
    save_figure(figure, path)


def plot_parts(found: EmotionPredictions, indices: tuple[int, ...], path: Path) -> None:
    """Shares of body parts among an emotion's labels, with and without the lower limbs (Fig. 11)."""
    table = parts_of_emotions(found, indices)  # (5, 7)
    upper = [at for at, name in enumerate(BODY_PARTS) if name not in LOWER_LIMB_PARTS]
    figure = new_figure(11.0, 3.6)
    for place, (title, columns) in enumerate((("all labels", [*range(len(BODY_PARTS))]), ("without D and G", upper))):
        axes = figure.add_subplot(1, 2, place + 1)
        kept = table[:, columns] / np.maximum(table[:, columns].sum(axis=1, keepdims=True), 1e-9)
        left = np.zeros(len(EMOTIONS))
        for number, column in enumerate(columns):
            axes.barh(range(len(EMOTIONS)), kept[:, number], left=left, color=f"C{column}", label=BODY_PARTS[column])
            left += kept[:, number]
        axes.set_yticks(range(len(EMOTIONS)), EMOTIONS)
        axes.invert_yaxis()
        axes.set(title=title, xlim=(0.0, 1.0), xlabel="share of the labels")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside right center", fontsize="small")
    save_figure(figure, path)


def predicted(found: EmotionPredictions) -> BoolArray:
    """(N, A): as many of each window's likeliest actions as it has true ones."""
    ranks = (-found.actions).argsort(axis=1).argsort(axis=1)
    return np.asarray(ranks < found.done.sum(axis=1, keepdims=True))


def multi_label_confusion(true: BoolArray, said: BoolArray) -> FloatArray:
    """(C, C), rows true, from labels (N, C) twice.

    A label that is found counts for itself; one that is missed counts in equal shares for what was said wrongly in its
    window. Each row adds up to 1 at most: less where labels are missed and nothing was said in their place.
    """
    classes = true.shape[1]
    counts = np.zeros((classes, classes))
    for labels, answers in zip(true, said, strict=True):
        wrong = np.flatnonzero(answers & ~labels)
        for label in np.flatnonzero(labels):
            if answers[label]:
                counts[label, label] += 1.0
            elif len(wrong):
                counts[label, wrong] += 1.0 / len(wrong)
    return np.asarray(counts / np.maximum(true.sum(axis=0), 1)[:, None])


def parts_of_emotions(found: EmotionPredictions, indices: tuple[int, ...]) -> FloatArray:
    """(5, 7): labels of each body part in windows of each emotion."""
    parts, likeliest = PART_OF[list(indices)], found.felt.argmax(axis=1)
    pure = found.felt.max(axis=1) >= PURE
    table = np.zeros((len(EMOTIONS), len(BODY_PARTS)))
    for emotion in range(len(EMOTIONS)):
        done = found.done[pure & (likeliest == emotion)].sum(axis=0)  # (A,)
        np.add.at(table[emotion], parts, done)
    return table


def _by_part(labels: BoolArray, parts: npt.NDArray[np.int64]) -> BoolArray:
    """(N, A) → (N, 7): whether any action of the part is there."""
    return np.stack([labels[:, parts == part].any(axis=1) for part in range(len(BODY_PARTS))], axis=1)


def _rows(found: EmotionPredictions, said: BoolArray, at: int) -> tuple[tuple[str, BoolArray], ...]:
    return ("predicted", said[at]), ("true", np.asarray(found.done[at] > 0.5))


def _emotions(axes: Axes, felt: FloatArray, shift: float) -> None:
    axes.set_xticks(np.arange(len(EMOTIONS)) + shift, EMOTIONS, rotation=45, fontsize="small")
    at = int(felt.argmax())
    axes.set(ylim=(0.0, 1.0), title=f"true: {EMOTIONS[at] if at < len(EMOTIONS) else 'none'}")
