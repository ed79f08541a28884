"""Error against compute, a line for each model, with the frontier that they form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.lines import Line2D

from fitting.errors import FitError
from fitting.frontier import frontier
from fitting.learning_curves import MARKERS
from fitting.series import Setting
from fitting.style import label_errors, label_powers

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from fitting.errors import Floats
    from fitting.figures.panel import PanelOptions, Row
    from fitting.frontier import Frontier


@dataclass(frozen=True, eq=False)
class CurvesPanel:
    """See `Panel`; models by ascending cost of a sample."""

    title: str
    setting: Setting
    models: dict[str, tuple[Floats, Floats]]
    """Compute and least error of each model, at its samples seen."""
    best: Frontier
    notes: tuple[str, ...] = ()

    def draw(self, ax: Axes) -> None:
        """See `Panel.draw`."""
        colors = mpl.colormaps["viridis_r"]
        for place, (model, (gflops, error)) in enumerate(self.models.items()):
            ax.plot(
                gflops,
                error,
                marker=MARKERS[place % len(MARKERS)],
                ms=2.5,
                lw=0.8,
                color=colors(0.1 + 0.9 * place / max(1, len(self.models) - 1)),
                label=model,
            )
        ax.plot(self.best.gflops, self.best.error, color="black", lw=1.4, ls=(0, (1, 1)))
        ax.set(xscale="log", yscale="log", xlabel="Compute (forward GFLOPs)")
        label_powers(ax)
        errors = np.concatenate([error for _, error in self.models.values()])
        low, high = errors[errors > 0].min() * 0.85, errors.max() * 1.1
        ax.set_ylim(low, high)
        label_errors(ax, low, high)
        ax.set_ylabel(self.setting.error_label)
        columns = 2 if len(self.models) > 6 else 1
        ax.legend(loc="lower left", ncols=columns, fontsize=5, labelspacing=0.2, handlelength=1.5)

    def legend(self) -> list[Artist]:
        """See `Panel.legend`."""
        return [Line2D([], [], color="black", lw=1.4, ls=(0, (1, 1)), label="frontier")]

    def rows(self) -> list[Row]:
        """See `Panel.rows`."""
        lines = {**self.models, "frontier": (self.best.gflops, self.best.error)}
        return [
            {
                "panel": self.title,
                "contestant": name,
                "what": "frontier" if name == "frontier" else "model",
                "compute_gflops": x,
                "error": error,
            }
            for name, (xs, errors) in lines.items()
            for x, error in zip(xs.tolist(), errors.tolist(), strict=True)
        ]

    def coefficients(self) -> list[Row]:
        """No law is fitted."""
        return []


def curves_panel(points: pd.DataFrame, title: str, _: PanelOptions) -> CurvesPanel:
    """The models of one contestant in one setting; several trials of a cell count by their best.

    Raises `FitError` if there are several contestants.
    """
    if points["family"].nunique() != 1:
        raise FitError(f"{title}: curves of models are of one contestant, give one")
    cost = (points["compute_gflops"] / points["samples_seen"]).groupby(points["model"]).median()
    models = {}
    for model in cost.sort_values().index:
        best = points[points["model"] == model].groupby("compute_gflops")["error"].min()
        models[str(model)] = (best.index.to_numpy(dtype=float), best.to_numpy(dtype=float))
    names = ("study", "dataset", "schedule", "task", "metric")
    setting = Setting(*(str(points[name].iloc[0]) for name in names))
    gflops, error = (points[name].to_numpy(dtype=float) for name in ("compute_gflops", "error"))
    return CurvesPanel(title, setting, models, frontier("pareto", gflops, error))
