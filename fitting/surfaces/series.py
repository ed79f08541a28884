"""The cells of each series of a table of points, for laws of two variables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fitting.series import SETTING_COLUMNS, Series, read_series
from fitting.surfaces.cells import Cells

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd


def read_cells(
    points: pd.DataFrame, max_compute_of: Callable[[str], float]
) -> list[tuple[Series, pd.DataFrame]]:
    """Each series of `points` with its rows; see `fitting.series.read_series`."""
    found = []
    for series in read_series(points, None, max_compute_of):
        rows = points[points["family"] == series.family]
        for name, value in zip(SETTING_COLUMNS, series.setting, strict=True):
            rows = rows[rows[name] == value]
        found.append((series, rows))
    return found


def training_cells(series: Series, rows: pd.DataFrame) -> Cells:
    """The cells that may be fitted. Raises `FitError` if they say nothing, as `Series.check`."""
    series.check()
    return Cells.from_points(rows).up_to(series.max_compute)
