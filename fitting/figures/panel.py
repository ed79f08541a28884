"""What every kind of panel has, and a figure made of panels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import matplotlib as mpl
from matplotlib.figure import Figure

from fitting.errors import FitError
from fitting.style import PAPER, Column, paper_size, powers_raised

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

Row = dict[str, Any]
"""One number behind a figure: what it is, whose, where and how much."""


@dataclass(frozen=True, kw_only=True)
class PanelOptions:
    """How the series of a panel are fitted."""

    law: str = "saturating"
    """One of `fitting.laws.LAWS`."""
    frontier: str = "published"
    x: str = "compute_gflops"
    """`compute_gflops` (forward, total) or `samples_seen`: what error is a function of."""
    fit_to: float | Mapping[str, float] | None = None
    """Largest x that is fitted, of all or by contestant; points beyond are held out."""
    draw_to: float = 0.0
    """Laws are drawn at least this far."""
    predict_at: tuple[float, ...] = ()
    """Where the numbers behind the figure hold predictions as well."""
    refits: int = 200
    seed: int = 0

    def limit_of(self, contestant: str) -> float:
        """The largest x that is fitted of a contestant, inf if all is."""
        limit = self.fit_to
        if isinstance(limit, Mapping):
            limit = limit.get(contestant)
        return float("inf") if limit is None else float(limit)


class Panel(Protocol):
    """The data of one panel, complete before anything is drawn."""

    @property
    def title(self) -> str:
        """What is shown, short."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What is missing, and why."""

    def draw(self, ax: Axes) -> None:
        """Draw on `ax`, with scales, ticks, labels and the legend of the series."""

    def legend(self) -> list[Artist]:
        """Handles that explain symbols which panels share."""

    def rows(self) -> list[Row]:
        """The numbers behind the panel."""

    def coefficients(self) -> list[Row]:
        """Each law with its parameters."""


def figure_of(panels: Sequence[Panel], column: Column) -> Figure:
    """The panels side by side, or below one another in a single column, with one legend below.

    Raises `FitError` without panels.
    """
    if not panels:
        raise FitError("a figure needs a panel")
    rows, columns, size = paper_size(len(panels), column)
    with mpl.rc_context(PAPER):
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for ax, panel in zip(axes, panels, strict=False):
            panel.draw(ax)
            ax.set_title(powers_raised(panel.title), loc="left")
        for ax in axes[len(panels) :]:
            ax.remove()
        handles = legend_of(panels)
        if handles:
            figure.legend(
                handles=handles,
                loc="outside lower center",
                ncols=len(handles) if column == "double" else -(-len(handles) // 2),
                frameon=False,
                handlelength=1.8,
                columnspacing=1.2,
            )
    return figure


def legend_of(panels: Sequence[Panel]) -> list[Artist]:
    """Handles of all panels, each label once."""
    found: dict[str, Artist] = {}
    for panel in panels:
        for handle in panel.legend():
            found.setdefault(str(handle.get_label()), handle)
    return list(found.values())
