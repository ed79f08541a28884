"""The columns of a table of points: which there must be, and that numbers are numbers."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING

from fitting.errors import FitError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

NUMBERS = ("samples_seen", "compute_gflops", "error", "chance_error", "classes")
"""Columns that hold numbers; a missing number is left to whoever needs it."""


def check_columns(points: pd.DataFrame, required: Iterable[str]) -> None:
    """Raise `FitError` if `points` lacks a column or holds text where it should hold numbers.

    Text that reads like a number is refused too: a table in which one number became text has
    been through something that may have harmed the others.
    """
    missing = [name for name in required if name not in points.columns]
    if missing:
        raise FitError(f"the table of points lacks the columns {', '.join(missing)}")
    if not len(points):
        raise FitError("the table of points has no rows")
    problems = [
        problem
        for name in NUMBERS
        if name in points.columns and (problem := _not_numbers(points[name]))
    ]
    if problems:
        raise FitError(f"not a number in the table of points: {'; '.join(problems)}")


def _not_numbers(column: pd.Series) -> str:
    """What a column holds beside numbers, with the first of it and its place; empty if nothing."""
    if column.dtype.kind in "iuf":
        return ""
    wrong = [
        (place, value)
        for place, value in enumerate(column)
        if not (value is None or (isinstance(value, Real) and not isinstance(value, bool)))
    ]
    if not wrong:
        return ""
    place, value = wrong[0]
    others = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
    return f"{column.name} is {value!r} in row {place + 1}{others}"
