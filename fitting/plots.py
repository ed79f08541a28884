"""Plots of fits and comparisons: error against compute, both logarithmic.

Functions draw on the axes that they are given; only `figure_comparison` makes a figure, by the
object interface, so that no global state of matplotlib changes and no display is needed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from fitting.errors import gflops_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from fitting.analysis import Analysis
    from fitting.compare import Comparison, Crossing
    from fitting.series import Setting
    from fitting.series_fit import SeriesFit

STYLE: dict[Any, Any] = {
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10.0,
    "axes.grid": True,
    "grid.color": "0.92",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.framealpha": 0.7,
    "legend.edgecolor": "none",
    "legend.fontsize": 8.0,
    "figure.dpi": 160,
}


@dataclass(frozen=True)
class Look:
    """Colour, distinct under colour blindness (Okabe and Ito 2008), and marker, for grey print."""

    color: str
    marker: str


LOOKS = {
    "clip": Look("#0072B2", "o"),
    "mammut": Look("#D55E00", "s"),
    "coca": Look("#009E73", "^"),
    "siglip": Look("#CC79A7", "D"),
    "cap": Look("#E69F00", "v"),
}
OTHER_LOOKS = (
    Look("#56B4E9", "P"),
    Look("#000000", "X"),
    Look("#7F7F7F", "p"),
    Look("#882255", "<"),
)
CURVE_POINTS = 300
ERROR_TICKS = ((1, 1.5, 2, 3, 4, 5, 6, 7, 8), (1, 2, 3, 5, 7), (1, 2, 5), (1,))
"""Digits of the ticks of the error axis, from dense to sparse."""
MOST_ERROR_TICKS = 9


def look_of(family: str, families: Sequence[str]) -> Look:
    """A family's look: the same in every figure if it is known, else by its place among others."""
    if family in LOOKS:
        return LOOKS[family]
    others = sorted(set(families) - LOOKS.keys())
    return OTHER_LOOKS[others.index(family) % len(OTHER_LOOKS)]


def draw_fit(ax: Axes, fit: SeriesFit, *, look: Look | None = None, end: float = 0.0) -> None:
    """Draw a series and its law up to its largest cell, or to compute `end` (GFLOPs) beyond it.

    All cells faint; points of the frontier full; held-out frontier points as crosses; the law
    solid where it was fitted and dashed beyond; the confidence band of the law.
    """
    series = fit.series
    look = look or look_of(series.family, [series.family])
    ax.scatter(
        series.gflops, series.error, s=9, color=look.color, marker=look.marker, alpha=0.18, lw=0
    )
    gflops = np.geomspace(fit.fit.gflops[0], max(end, fit.largest_measured), num=CURVE_POINTS)
    law = fit.fit.predict(gflops)
    low, high = fit.interval(gflops)
    fitted_to = fit.fit.gflops[-1]
    if np.all(np.isfinite(high)):
        floor = np.maximum(low, 1e-12)
        ax.fill_between(gflops, floor, high, color=look.color, alpha=0.16, lw=0)
    text = f"{series.family}: {fit.fit.law.describe(fit.fit.parameters)}"
    ax.plot(gflops[gflops <= fitted_to], law[gflops <= fitted_to], color=look.color, label=text)
    ax.plot(
        gflops[gflops >= fitted_to], law[gflops >= fitted_to], color=look.color, ls=(0, (4, 2))
    )
    ax.scatter(
        fit.frontier.gflops,
        fit.frontier.error,
        s=22,
        color=look.color,
        marker=look.marker,
        edgecolors="white",
        linewidths=0.5,
        zorder=3,
    )
    ax.scatter(
        fit.held_out.gflops,
        fit.held_out.error,
        s=42,
        color=look.color,
        marker="x",
        linewidths=1.8,
        zorder=4,
    )


def draw_comparison(ax: Axes, analysis: Analysis, comparison: Comparison) -> None:
    """Draw both contestants, the crossing of their laws, axes with units and the legends."""
    pair = [analysis.find(comparison.setting, name) for name in (comparison.a, comparison.b)]
    end = max(at.compute_gflops for at in comparison.better_at)
    draw_series(ax, analysis, pair, end=end)
    if comparison.crossing is not None:
        _mark_crossing(ax, comparison.crossing, pair[0])


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
    ax.set_xlabel("Compute (forward GFLOPs)")
    ax.set_ylabel(setting.error_label)
    ax.set_title(f"{setting.task}, {setting.dataset}, {setting.schedule}", loc="left")


def label_errors(ax: Axes, low: float, high: float) -> None:
    """Ticks such as 0.2, 0.3, 0.5: a logarithmic axis of one decade would show a single one."""
    for digits in ERROR_TICKS:
        ticks = [digit * 10.0**power for power in range(-8, 4) for digit in digits]
        inside = [tick for tick in ticks if low <= tick <= high]
        if len(inside) <= MOST_ERROR_TICKS:
            break
    ax.yaxis.set_major_locator(FixedLocator(inside))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_locator(NullLocator())


def _mark_crossing(ax: Axes, crossing: Crossing, a: SeriesFit) -> None:
    """A ring at the crossing and a line to its interval, a bar at the top; an arrow is open."""
    at, low, high = crossing.gflops, crossing.low, crossing.high
    error = float(a.fit.predict(np.array([at]))[0])
    left, right = ax.get_xlim()
    if at > right:
        return
    over = ax.get_xaxis_transform()
    ax.axvline(at, color="0.35", lw=0.8, ls=":")
    ax.scatter([at], [error], s=70, facecolors="none", edgecolors="black", lw=1.1, zorder=5)
    if low is not None or high is not None:
        ends = max(low or left, left), min(high or right, right)
        ax.hlines(0.985, *ends, transform=over, color="0.35", lw=2.5)
        for end, bound, arrow in ((ends[0], low, "<"), (ends[1], high, ">")):
            if bound is None:
                ax.plot(end, 0.985, arrow, transform=over, color="0.35", ms=7, clip_on=False)
    # Error falls with compute, so the upper right corner is free of curves.
    ax.annotate(
        f"laws cross at {gflops_text(at)} GFLOPs\n{a.level:.0%}: {crossing.interval_text}",
        (0.985, 0.965),
        xycoords="axes fraction",
        ha="right",
        va="top",
        fontsize=8,
        color="0.2",
    )


def _legends(ax: Axes, fits: Sequence[SeriesFit]) -> None:
    """The laws with their numbers, and below them what the symbols mean."""
    grey: dict[str, Any] = {"color": "0.4", "ls": ""}
    symbols: list[Line2D | Patch] = [
        Line2D([], [], marker="o", ms=3, alpha=0.35, label="cell", **grey),
        Line2D([], [], marker="o", ms=5, label="frontier", **grey),
        Line2D([], [], color="0.4", ls=(0, (4, 2)), label="extrapolated"),
        Patch(color="0.4", alpha=0.2, lw=0, label=f"{fits[0].level:.0%} interval of the law"),
    ]
    if any(len(fit.held_out) for fit in fits):
        symbols.insert(2, Line2D([], [], marker="x", ms=6, label="held-out frontier", **grey))
    handles = [*ax.get_legend_handles_labels()[0], *symbols]
    legend = ax.legend(handles=handles, loc="lower left", handlelength=1.8, labelspacing=0.3)
    legend.set_zorder(6)
