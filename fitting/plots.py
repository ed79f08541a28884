"""Plots of fits and comparisons: error against compute, both logarithmic.

Functions draw on the axes that they are given; only `figure_comparison` makes a figure, by the
object interface, so that no global state of matplotlib changes and no display is needed.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from fitting.errors import gflops_text
from fitting.style import STYLE, Look, label_errors, label_powers, look_of, powers_raised

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from fitting.analysis import Analysis
    from fitting.compare import Comparison, Crossing
    from fitting.series import Setting
    from fitting.series_fit import SeriesFit

CURVE_POINTS = 300


def law_text(fit: SeriesFit, symbol: str = "C") -> str:
    """The series and its law, powers raised; `symbol` is what the law is a function of."""
    law = fit.fit.law.describe(fit.fit.parameters)
    law = powers_raised(law, math=True).replace(",", "{,}")
    law = re.sub(r"\^(-[\d.]+)", r"^{\1}", law)
    law = law.replace(" C^", rf"\,{symbol}^").replace(" (C ", rf"\,({symbol} ")
    return f"{fit.series.family}: ${law}$"


def draw_fit(
    ax: Axes, fit: SeriesFit, *, look: Look | None = None, end: float = 0.0, symbol: str = "C"
) -> None:
    """Draw a series and its law up to its largest cell, or to compute `end` (GFLOPs) beyond it.

    All cells faint; points of the frontier full; held-out frontier points as crosses; the law
    solid where it was fitted and dashed beyond; the confidence band of the law.
    """
    series = fit.series
    look = look or look_of(series.family, [series.family])
    area = _area()
    ax.scatter(
        series.gflops,
        series.error,
        s=9 * area,
        color=look.color,
        marker=look.marker,
        alpha=0.18,
        lw=0,
    )
    gflops = np.geomspace(fit.fit.gflops[0], max(end, fit.largest_measured), num=CURVE_POINTS)
    law = fit.fit.predict(gflops)
    low, high = fit.interval(gflops)
    fitted_to = fit.fit.gflops[-1]
    if np.all(np.isfinite(high)):
        floor = np.maximum(low, 1e-12)
        ax.fill_between(gflops, floor, high, color=look.color, alpha=0.16, lw=0)
    text = law_text(fit, symbol)
    ax.plot(gflops[gflops <= fitted_to], law[gflops <= fitted_to], color=look.color, label=text)
    ax.plot(
        gflops[gflops >= fitted_to], law[gflops >= fitted_to], color=look.color, ls=(0, (4, 2))
    )
    ax.scatter(
        fit.frontier.gflops,
        fit.frontier.error,
        s=22 * area,
        color=look.color,
        marker=look.marker,
        edgecolors="white",
        linewidths=0.5,
        zorder=3,
    )
    ax.scatter(
        fit.held_out.gflops,
        fit.held_out.error,
        s=42 * area,
        color=look.color,
        marker="x",
        linewidths=1.8 * area**0.5,
        zorder=4,
    )


def draw_comparison(ax: Axes, analysis: Analysis, comparison: Comparison) -> None:
    """Draw both contestants, the crossing of their laws, axes with units and the legends."""
    pair = [analysis.find(comparison.setting, name) for name in (comparison.a, comparison.b)]
    end = max(at.compute_gflops for at in comparison.better_at)
    draw_series(ax, analysis, pair, end=end)
    if comparison.crossing is not None:
        mark_crossing(ax, comparison.crossing, pair[0])


def draw_series(
    ax: Axes, analysis: Analysis, fits: Sequence[SeriesFit], *, end: float = 0.0
) -> None:
    """Draw fits of one setting side by side, with axes and legends, to compute `end` at least."""
    families = [fit.series.family for fit in analysis.fits]
    for fit in fits:
        draw_fit(ax, fit, look=look_of(fit.series.family, families), end=end)
    dress(ax, fits[0].series.setting, fits, end)
    _legends(ax, fits)


def figure_comparison(analysis: Analysis, comparisons: Sequence[Comparison]) -> Figure:
    """A figure with one panel a comparison, at most three side by side.

    Without comparisons it has one panel a setting, with every series that was fitted.
    """
    settings = dict.fromkeys(fit.series.setting for fit in analysis.fits)
    panels = len(comparisons) or len(settings)
    columns = min(panels, 2 if panels <= 4 else 3)
    rows = math.ceil(panels / columns)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4 * columns, 4.6 * rows), layout="constrained")
        axes = [figure.add_subplot(rows, columns, place + 1) for place in range(panels)]
        if comparisons:
            for ax, comparison in zip(axes, comparisons, strict=True):
                draw_comparison(ax, analysis, comparison)
        else:
            for ax, setting in zip(axes, settings, strict=True):
                fits = [fit for fit in analysis.fits if fit.series.setting == setting]
                draw_series(ax, analysis, fits)
    return figure


def dress(ax: Axes, setting: Setting, fits: Sequence[SeriesFit], end: float = 0.0) -> None:
    """Scales, limits up to compute `end` (GFLOPs) at least, ticks, labels and title."""
    ax.set(xscale="log", yscale="log")
    start = min(fit.series.gflops.min() for fit in fits)
    stop = max(end, *(fit.largest_measured for fit in fits))
    ax.set_xlim(start / 1.5, stop * 1.5)
    highest = max(fit.series.error.max() for fit in fits)
    shown = np.concatenate(
        [np.append(fit.series.error, fit.fit.predict(np.array([stop]))) for fit in fits]
    )
    # An error of 0 has no place on a logarithmic axis.
    lowest = shown[shown > 0].min()
    ax.set_ylim(lowest * 0.7, highest * 1.12)
    label_errors(ax, lowest * 0.7, highest * 1.12)
    label_powers(ax)
    ax.set_xlabel("Compute (forward GFLOPs)")
    ax.set_ylabel(setting.error_label)
    ax.set_title(f"{setting.task}, {setting.dataset}, {setting.schedule}", loc="left")


def mark_crossing(ax: Axes, crossing: Crossing, a: SeriesFit) -> None:
    """A ring at the crossing and a line to its interval, a bar at the top; an arrow is open."""
    at, low, high = crossing.gflops, crossing.low, crossing.high
    error = float(a.fit.predict(np.array([at]))[0])
    left, right = ax.get_xlim()
    if at > right:
        return
    over = ax.get_xaxis_transform()
    ax.axvline(at, color="0.35", lw=0.8, ls=":")
    area = _area()
    ring: dict[str, Any] = {"facecolors": "none", "edgecolors": "black", "lw": 1.1, "zorder": 5}
    ax.scatter([at], [error], s=70 * area, **ring)
    if low is not None or high is not None:
        ends = max(low or left, left), min(high or right, right)
        ax.hlines(0.985, *ends, transform=over, color="0.35", lw=2.5 * area**0.5)
        for end, bound, arrow in ((ends[0], low, "<"), (ends[1], high, ">")):
            if bound is None:
                ax.plot(
                    end,
                    0.985,
                    arrow,
                    transform=over,
                    color="0.35",
                    ms=7 * _area() ** 0.5,
                    clip_on=False,
                )
    text = f"{gflops_text(at)} GFLOPs\n{a.level:.0%}: {crossing.interval_text}"
    # Error falls with compute, so the upper right corner is free of curves.
    ax.annotate(
        powers_raised(f"laws cross at {text}"),
        (0.985, 0.965),
        xycoords="axes fraction",
        ha="right",
        va="top",
        fontsize=mpl.rcParams["legend.fontsize"],
        color="0.2",
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.5},
    )


def _area() -> float:
    """Size of symbols of this style, 1 on screens."""
    return float(mpl.rcParams["lines.markersize"] / 6.0) ** 2


def _legends(ax: Axes, fits: Sequence[SeriesFit]) -> None:
    """The laws with their numbers, and below them what the symbols mean."""
    handles = [*ax.get_legend_handles_labels()[0], *symbols(fits)]
    legend = ax.legend(handles=handles, loc="lower left", handlelength=1.8, labelspacing=0.3)
    legend.set_zorder(6)


def symbols(fits: Sequence[SeriesFit]) -> list[Line2D | Patch]:
    """Handles of a legend that say what points, lines and bands are."""
    grey: dict[str, Any] = {"color": "0.4", "ls": ""}
    shown: list[Line2D | Patch] = [
        Line2D([], [], marker="o", ms=3, alpha=0.35, label="cell", **grey),
        Line2D([], [], marker="o", ms=5, label="frontier", **grey),
        Line2D([], [], color="0.4", ls=(0, (4, 2)), label="extrapolated"),
        Patch(color="0.4", alpha=0.2, lw=0, label=f"{fits[0].level:.0%} interval of the law"),
    ]
    if any(len(fit.held_out) for fit in fits):
        shown.insert(2, Line2D([], [], marker="x", ms=6, label="held-out frontier", **grey))
    return shown
