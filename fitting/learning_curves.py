"""Learning curves: error against samples seen, a line for each model, a panel for each family."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.figure import Figure

from fitting.errors import FitError
from fitting.series import Setting
from fitting.style import STYLE, label_errors, label_powers

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

MARKERS = "osD^vPX<>ph*"


def draw_learning_curves(ax: Axes, points: pd.DataFrame) -> None:
    """Draw the best error of each model at each samples seen, darker for larger models.

    `points` are of one family and setting, with the columns that `fitting.analyse` takes. Several
    trials at one samples seen (seeds, a sweep) count by their best.
    """
    sizes = (points["compute_gflops"] / points["samples_seen"]).groupby(points["model"]).median()
    colors = mpl.colormaps["viridis_r"]
    models = list(sizes.sort_values().index)
    for place, model in enumerate(models):
        best = points[points["model"] == model].groupby("samples_seen")["error"].min()
        ax.plot(
            best.index,
            best.to_numpy(),
            marker=MARKERS[place % len(MARKERS)],
            ms=4,
            lw=1.4,
            color=colors(0.1 + 0.9 * place / max(1, len(models) - 1)),
            label=model,
        )


def figure_learning_curves(points: pd.DataFrame) -> Figure:
    """A row for each setting (study, dataset, schedule, task, metric), a column for each family.

    Raises `FitError` if there are no points.
    """
    if points.empty:
        raise FitError("there are no points to draw")
    families = sorted(points["family"].unique())
    settings = list(points.groupby(["study", "dataset", "schedule", "task", "metric"], sort=True))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.6 * len(families), 3.6 * len(settings)), layout="constrained")
        axes = figure.subplots(
            len(settings), len(families), squeeze=False, sharex=True, sharey="row"
        )
        for row, (key, its_points) in zip(axes, settings, strict=True):
            setting = Setting(*map(str, key))
            for ax, family in zip(row, families, strict=True):
                of_family = its_points[its_points["family"] == family]
                ax.set(xscale="log", yscale="log", xlabel="Samples seen")
                label_powers(ax)
                ax.set_title(f"{family}: {setting.task}, {setting.dataset}", loc="left")
                if not of_family.empty:
                    draw_learning_curves(ax, of_family)
                    ax.legend(loc="lower left", labelspacing=0.3)
            errors = its_points.loc[its_points["error"] > 0, "error"]
            low, high = errors.min() * 0.8, errors.max() * 1.1
            row[0].set_ylim(low, high)
            label_errors(row[0], low, high)
            row[0].set_ylabel(setting.error_label)
    return figure
