"""The rows of the paper's tables: what each changes in a recipe, and what the paper reports."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Ablation(NamedTuple):
    """One table: its rows are a recipe with changes each, and other recipes as they are."""

    recipe: str
    rows: dict[str, tuple[str, ...]]
    others: Mapping[str, str] = MappingProxyType({})  # recipes by the names of their rows


_BRANCHES: dict[str, tuple[str, ...]] = {
    "MAENet": (),
    "face branch": ("network.body=null",),
    "micro-action branch": ("network.face=null",),
}
_LIMBS: dict[str, tuple[str, ...]] = {"MAENet": (), "without lower limbs": ("network.lower_limb=false",)}
TABLES = {
    "III": Ablation("manet-paper", {f"T = {length}": (f"network.length={length}",) for length in (4, 8, 16)}),
    "IV": Ablation(
        "manet-paper",
        {f"alpha = {alpha}": (f"losses.alpha={alpha}",) for alpha in ("0.0", "1.0", "3.0", "5.0", "10.0")},
    ),
    "V": Ablation(
        "manet-paper",
        {
            "MANet": (),
            "without SE": ("network.se_ratio=0",),
            "without embedding": ("network.embedding=false",),
            "Eq. 1 as written": ("network.shift_kernel=3",),
        },
    ),
    "VI": Ablation(
        "emotion-videos",
        _BRANCHES,
        {"Emotion-FAN": "emotion-fan", "VAANet, visual part": "vaanet"},
    ),
    "VII": Ablation("emotion-videos", _LIMBS),
}
# The same of small networks on simulated interviews.
SIMULATED = {
    "VI": Ablation(
        "maenet-simulated",
        _BRANCHES,
        {"Emotion-FAN": "emotion-fan-simulated", "VAANet, visual part": "vaanet-simulated"},
    ),
    "VII": Ablation("maenet-simulated", _LIMBS),
}

# Table II, per cent, on MA-52's test set, whose labels are withheld: F1_mean; F1_macro and F1_micro, each of body
# parts and actions.
SCORES_II = ("f1_mean", "f1_macro_coarse", "f1_macro_fine", "f1_micro_coarse", "f1_micro_fine")
TABLE_II = {
    "tsn": (43.67, 52.50, 28.52, 59.22, 34.46),
    "tsm": (61.39, 70.98, 40.19, 77.64, 56.75),
    "tin": (58.22, 66.99, 39.82, 73.26, 52.81),
    "c3d": (58.43, 66.60, 40.86, 74.04, 52.22),
    "i3d": (61.66, 71.56, 39.84, 78.16, 57.07),
    "slowfast": (63.09, 70.61, 44.96, 77.18, 59.60),
    "video_swin": (61.24, 71.25, 38.53, 77.95, 57.23),
    "timesformer": (51.53, 61.90, 34.38, 69.17, 40.67),
    "uniformer": (64.43, 71.80, 48.01, 79.03, 58.89),
    "manet": (65.59, 72.87, 49.22, 78.95, 61.33),
}
MA52_TRAIN_CLIPS = 11_250
