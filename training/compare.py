"""Several recipes on the same data, one after another: a table that can be interrupted at any time."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

from engines.bundle import Bundle
from engines.common.errors import BadInput
from engines.common.new_files import check_names_free
from engines.networks.cost import cost_of
from engines.runtimes import available, least_ms, open_runtime
from engines.runtimes.base import RuntimeFailed
from simulation.cache_folder import write_whole
from training.ablations import MA52_TRAIN_CLIPS, SCORES_II, TABLE_II
from training.checkpoint import RUN_FILES, SCORES
from training.figures import new_figure, save_figure
from training.loop import Options
from training.machine import Machine
from training.recipe import Recipe
from training.run import MODEL, run

ROW_FILE = "row.json"
TEXT_FILE, CSV_FILE, PICTURE_FILE = "table.txt", "table.csv", "table.png"
# Columns of the scores, where a row has them: Table II; Tables VI and VII.
COLUMNS = (*SCORES_II, "top1_fine", "top5_fine", "accuracy", "f1_weighted", "uf1", "uar", "map")


class Row(msgspec.Struct, frozen=True):
    """A finished row."""

    name: str
    recipe_sha256: str
    architecture: str
    data: str  # what it is trained on
    scores: dict[str, float]  # of the validation, 0..1
    parameters: int
    gmac: float
    ms: dict[str, float]  # of one window, by runtime
    published: tuple[float, ...] = ()  # `SCORES_II`, per cent, where the data is MA-52


def compare(recipes: Mapping[str, Recipe], machine: Machine, options: Options) -> list[Row]:
    """Train, score and time recipes, by the names of their rows; the table grows with each in `machine.out`.

    A row that is finished is not repeated, one under way goes on.

    Raises:
        BadInput: a recipe or its data cannot be used, or the folder holds other runs.
        Failed: training or export broke.
    """
    folders = {name: machine.out / _folder(name) for name in recipes}
    for name, recipe in recipes.items():
        _check(folders[name], recipe)
    rows: list[Row] = []
    for name, recipe in recipes.items():
        row = _finished(folders[name])
        if row is None:
            bundle = run(recipe, machine._replace(out=folders[name]), options._replace(resume=True))
            row = _measure(name, recipe, bundle, folders[name], machine.threads)
            write_whole(folders[name] / ROW_FILE, partial(_write, data=msgspec.json.encode(row)))
        rows.append(row)
        write_table(rows, machine.out)
    return rows


def write_table(rows: Sequence[Row], out: Path) -> None:
    """Text, CSV and picture of the rows so far."""
    names, cells = table_cells(rows)
    text = io.StringIO()
    table = Table(*names, title=f"trained on {rows[0].data}")
    for line in cells:
        table.add_row(*line)
    Console(file=text, width=240).print(table)
    write_whole(out / TEXT_FILE, partial(_write, data=text.getvalue().encode()))
    lines = io.StringIO(newline="")
    csv.writer(lines, lineterminator="\n").writerows([names, *cells])
    write_whole(out / CSV_FILE, partial(_write, data=lines.getvalue().encode()))
    write_whole(out / PICTURE_FILE, partial(_plot, rows))


def table_cells(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Names of the columns and texts of all cells: scores in per cent, and the published ones where there are some."""
    scores = [name for name in COLUMNS if any(name in row.scores for row in rows)]
    runtimes = list(dict.fromkeys(name for row in rows for name in row.ms))
    published = any(row.published for row in rows)
    names = ["name", *scores, "parameters_m", "gmac", *(f"{name}_ms" for name in runtimes)]
    names += [f"published_{name}" for name in SCORES_II] if published else []
    cells = []
    for row in rows:
        cell = [row.name, *(_percent(row.scores.get(name)) for name in scores)]
        cell += [f"{row.parameters / 1e6:.2f}", f"{row.gmac:.2f}"]
        cell += [f"{row.ms[name]:.1f}" if name in row.ms else "" for name in runtimes]
        cell += [f"{one:.2f}" for one in row.published or ()] or [""] * (published * len(SCORES_II))
        cells.append(cell)
    return names, cells


def _check(folder: Path, recipe: Recipe) -> None:
    """Raises BadInput unless the folder is free or holds this very recipe's run."""
    row = _finished(folder)
    if row is not None and row.recipe_sha256 != recipe.digest:
        raise BadInput(f"the run of {recipe.name} as before", f"{folder}, of another recipe", "name another --out")
    if row is None and not (folder / "state.pt").exists():
        check_names_free(folder, (*RUN_FILES, MODEL), "--out")


def _finished(folder: Path) -> Row | None:
    file = folder / ROW_FILE
    try:
        return msgspec.json.decode(file.read_bytes(), type=Row) if file.exists() else None
    except (OSError, msgspec.MsgspecError) as error:
        raise BadInput("a row of an earlier comparison", f"{file} ({type(error).__name__})", "move it away") from None


def _measure(name: str, recipe: Recipe, bundle: Bundle, folder: Path, threads: int) -> Row:
    spec, made = bundle.card.network, bundle.card.provenance
    cost = cost_of(spec)
    architecture = str(recipe.network["architecture"])
    clips = made.trained_on.startswith(f"MA-52: {MA52_TRAIN_CLIPS} clips")
    return Row(
        name=name,
        recipe_sha256=recipe.digest,
        architecture=architecture,
        data=made.trained_on,
        scores=_scores(folder / SCORES / "scores.csv"),
        parameters=cost.parameters,
        gmac=cost.multiplications / 1e9,
        ms=times(bundle, threads),
        published=TABLE_II.get(architecture, ()) if clips else (),
    )


def times(bundle: Bundle, threads: int) -> dict[str, float]:
    """Least time of one window in each runtime that gives the bundle's scores, milliseconds."""
    found = {}
    for name, usable in available().items():
        if not usable:
            continue
        try:
            with open_runtime(bundle, name, threads) as runtime:
                found[name] = least_ms(runtime)
        except RuntimeFailed:
            continue
    return found


def _scores(path: Path) -> dict[str, float]:
    """The first column of values of a run's scores. Raises BadInput: it was not scored."""
    if not path.exists():
        raise BadInput("a validation list, so that rows can be compared", "none", "set data.val_list")
    with path.open(encoding="utf-8") as lines:
        rows = list(csv.reader(lines))[1:]
    return {name: float(value) for name, value, *_ in rows if name in COLUMNS}


def _percent(value: float | None) -> str:
    return "" if value is None or np.isnan(value) else f"{100 * value:.2f}"


def _folder(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name)


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _plot(rows: Sequence[Row], path: Path) -> None:
    """The first score of each row, and what a window costs in the fastest runtime."""
    figure = new_figure(10.0, 1.2 + 0.4 * len(rows))
    score = next((name for name in COLUMNS if all(name in row.scores for row in rows)), None)
    panels = {
        f"{score}, %": [100 * row.scores[score] if score else 0.0 for row in rows],
        "ms a window, fastest runtime": [min(row.ms.values(), default=0.0) for row in rows],
    }
    for at, (title, values) in enumerate(panels.items(), 1):
        axes = figure.add_subplot(1, 2, at)
        bars = axes.barh(range(len(rows)), values)
        axes.bar_label(bars, fmt="%.1f", fontsize=7)
        axes.set_yticks(range(len(rows)), [row.name for row in rows])
        axes.invert_yaxis()
        axes.set(title=title)
    save_figure(figure, path)
