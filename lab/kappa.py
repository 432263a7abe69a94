"""Chance-corrected agreement from tables of counts.

The modified kappa is that of Holle & Rein (2014, EasyDIAg, doi:10.3758/s13428-014-0506-7): annotations that overlap by
at least 60 % of the longer one are linked; what only one coder has is counted in a last row and column, *unmatched*;
linked pairs count twice, once for each annotation. Since nothing can be unmatched by both, the chance agreement of the
whole table is the diagonal of the table with the same margins, all cells alike but an empty last one (iterative
proportional fitting). ELAN offers the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Kappa:
    """NaN where it is not defined: nothing to compare, or chance alone explains everything."""

    raw: float  # share of agreement
    kappa: float
    highest: float  # kappa that these margins allow


def cohen(table: FloatArray) -> Kappa:
    """Of a square table (C, C): rows one coder, columns the other."""
    total = table.sum()
    if total == 0:
        return Kappa(np.nan, np.nan, np.nan)
    rows, columns = table.sum(axis=1) / total, table.sum(axis=0) / total
    raw, chance = float(np.trace(table) / total), float(rows @ columns)
    return Kappa(raw, corrected(raw, chance), corrected(float(np.minimum(rows, columns).sum()), chance))


def corrected(raw: float, chance: float) -> float:
    return (raw - chance) / (1.0 - chance) if chance < 1.0 - 1e-12 else float("nan")


def doubled(table: FloatArray) -> FloatArray:
    """With linked pairs counted once for each annotation: all but the last row and column."""
    found = table.astype(np.float64)
    found[:-1, :-1] *= 2.0
    return found


def modified(table: FloatArray) -> Kappa:
    """Holle & Rein's kappa of a doubled table whose last row and column are *unmatched*."""
    total = table.sum()
    if total == 0:
        return Kappa(np.nan, np.nan, np.nan)
    rows, columns = table.sum(axis=1)[:-1], table.sum(axis=0)[:-1]
    raw, chance = float(np.trace(table) / total), float(chance_diagonal(table).sum() / total)
    most = float(np.minimum(rows, columns).sum() / total)  # nothing is unmatched by both
    return Kappa(raw, corrected(raw, chance), corrected(most, chance))


def chance_diagonal(table: FloatArray) -> FloatArray:
    """(C,) the diagonal, without the last cell, of the fitted table with these margins.

    Fitting from cells alike, but an empty last one, has a closed form: each cell between names is the product of its
    row's and its column's sum, times linked / (all of the first · all of the second).
    """
    rows, columns = table.sum(axis=1)[:-1], table.sum(axis=0)[:-1]
    whole = rows.sum() * columns.sum()
    diagonal: FloatArray = rows * columns * (table[:-1, :-1].sum() / whole if whole else 0.0)
    return diagonal


def one_against_rest(table: FloatArray, at: int) -> FloatArray:
    """(2, 2): this category, and all others with the unmatched."""
    both, row, column = table[at, at], table[at].sum(), table[:, at].sum()
    return np.array([[both, row - both], [column - both, table.sum() - row - column + both]])
