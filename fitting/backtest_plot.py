"""A backtest as a figure: how far laws miss, and how often intervals hold, by extrapolation."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from fitting.style import LOOKS, OTHER_LOOKS, STYLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes


def figure_backtest(report: Mapping[str, Any]) -> Figure:
    """Held-out RMSE and coverage of one new run's interval, of `Backtest.to_json`'s report.

    A line an estimator, in the order of the report; coverage dashed as printed, solid after
    calibration on the other series, with the nominal level as a line.
    """
    names: list[str] = report["options"]["estimators"]
    calibrated = [one for one in report["calibrated_coverage"] if one["left_out"] == "series"]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10.0, 4.2), layout="constrained")
        misses, coverage = figure.subplots(1, 2)
        for name, look in zip(names, cycle((*LOOKS.values(), *OTHER_LOOKS)), strict=False):
            line = {"color": look.color, "marker": look.marker, "ms": 5, "lw": 1.4}
            scores = [one for one in report["by_ratio"] if one["estimator"] == name]
            misses.plot(*_line(scores, "rmse", 100.0), **line, label=name)
            shares = [one for one in calibrated if one["estimator"] == name]
            coverage.plot(*_line(shares, "coverage_before"), **{**line, "lw": 0.8}, ls="--")
            coverage.plot(*_line(shares, "coverage_after"), **line)
        _dress(misses, report, "Held-out RMSE (percentage points)")
        misses.set_ylim(bottom=0.0)
        misses.legend(loc="upper left")
        level = report["options"]["level"]
        coverage.axhline(level, color="0.35", lw=0.8, ls=":")
        _dress(coverage, report, f"Held-out points inside the {100 * level:g} % interval")
        coverage.set_title("solid: calibrated on the other series; dashed: as it is", loc="left")
    return figure


def _line(
    records: Sequence[Mapping[str, Any]], key: str, scale: float = 1.0
) -> tuple[list[float], list[float]]:
    """Places and values of one estimator, by ascending extrapolation."""
    ordered = sorted(records, key=lambda one: one["ratio_above"])
    places = [float(np.log2(one["ratio_above"])) for one in ordered]
    return places, [scale * one[key] for one in ordered]


def _dress(ax: Axes, report: Mapping[str, Any], label: str) -> None:
    bins = {(one["ratio_above"], one["ratio_up_to"]) for one in report["by_ratio"]}
    ordered = sorted(bins, key=lambda ends: float(ends[0]))
    names = [f">{low:g}x" if high is None else f"{low:g}-{high:g}x" for low, high in ordered]
    ax.set_xticks([float(np.log2(low)) for low, _ in ordered], names)
    ax.set_xlabel("Extrapolation: held-out compute over the largest fitted")
    ax.set_ylabel(label)
