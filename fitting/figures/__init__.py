"""Kinds of figures: data first, then drawing on the axes that are given.

Each kind is a module with a function that computes a `Panel` from points (the table that
`fitting.analyse` takes). To add one, write such a module and name it in `KINDS`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fitting.figures.curves import curves_panel
from fitting.figures.laws import laws_panel
from fitting.figures.optimal import optimal_panel
from fitting.figures.panel import Panel, PanelOptions, figure_of, legend_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    Kind = Callable[[pd.DataFrame, str, PanelOptions], Panel]

KINDS: dict[str, Kind] = {"laws": laws_panel, "curves": curves_panel, "optimal": optimal_panel}
"""A function of (points, title, options) for each kind that a recipe may name."""

__all__ = ["KINDS", "Panel", "PanelOptions", "figure_of", "legend_of"]
