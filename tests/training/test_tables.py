"""The rows of Tables VI and VII are recipes that can be read, and networks that can be built."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engines.specs.emotion import EmotionFANSpec, VAANetSpec
from engines.specs.maenet import MAENetSpec
from training.ablations import SIMULATED, TABLES
from training.recipe import read_recipe


@pytest.mark.parametrize("tables", [TABLES, SIMULATED], ids=["videos", "simulated"])
def test_table_vi_has_the_paper_s_rows(tables: dict) -> None:
    table = tables["VI"]
    specs = {name: read_recipe(table.recipe, changes).spec for name, changes in table.rows.items()}
    specs |= {name: read_recipe(recipe).spec for name, recipe in table.others.items()}
    assert all(isinstance(specs[name], MAENetSpec) for name in ("MAENet", "face branch", "micro-action branch"))
    assert (specs["face branch"].body, specs["micro-action branch"].face) == (None, None)
    assert isinstance(specs["Emotion-FAN"], EmotionFANSpec)
    assert isinstance(specs["VAANet, visual part"], VAANetSpec)
    limbs = tables["VII"]
    counts = [len(read_recipe(limbs.recipe, changes).spec.actions) for changes in limbs.rows.values()]
    assert counts == [52, 40]


def test_the_simulated_ones_learn_from_the_same_interviews() -> None:
    recipes = [SIMULATED["VI"].recipe, *SIMULATED["VI"].others.values()]
    assert len({repr(sorted(read_recipe(one).data.items())) for one in recipes}) == 1


def test_other_tables_are_not_simulated(refused: Callable[..., str]) -> None:
    assert "--simulated with table VI or VII, got III" in refused("tables", "III", "--simulated", "--out", "none")
