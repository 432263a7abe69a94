"""Tasks by the names that recipes give: each is one module with a class `RecipeTask` of it."""

from __future__ import annotations

import importlib
from typing import Any

from engines.common.errors import BadInput
from training.machine import Machine
from training.recipe import Recipe
from training.tasks.base import RecipeTask

TASKS = {
    "clips": "training.tasks.clips:Clips",
    "untrimmed": "training.tasks.untrimmed:Untrimmed",
    "drawings": "training.tasks.drawings:Drawings",
    "landmarks": "training.tasks.landmarks:Landmarks",
    "emotion-videos": "training.tasks.emotion:EmotionVideos",
    "simulated-emotion": "training.tasks.emotion:SimulatedEmotions",
}


def open_task(recipe: Recipe, machine: Machine) -> RecipeTask[Any]:
    """The task of a recipe, with its data checked. Raises BadInput: an unknown task, or data that cannot be used."""
    if recipe.task not in TASKS:
        raise BadInput(f"a task of {', '.join(TASKS)}", repr(recipe.task), f"change recipe {recipe.name}")
    module, name = TASKS[recipe.task].split(":")
    task: RecipeTask[Any] = getattr(importlib.import_module(module), name)(recipe, machine)
    return task
