r"""Compute-optimal samples: how many samples the best model of each compute has seen.

.. math:: D_{\mathrm{opt}}(C) = k\,C^{a}

by least squares of logarithms through the frontier's points (compute, samples seen).
Source: Nezhurina et al. 2025, arXiv:2506.04598, figure 6; Hoffmann et al. 2022, approach 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from fitting.errors import FitError
from fitting.fit import student_t
from fitting.frontier import frontier
from fitting.plots import CURVE_POINTS
from fitting.style import label_powers, look_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from fitting.errors import Floats
    from fitting.figures.panel import PanelOptions, Row

LEVEL = 0.95


@dataclass(frozen=True, eq=False)
class OptimalLine:
    """The regression of log samples on log compute of one contestant."""

    name: str
    gflops: Floats
    samples: Floats
    exponent: float
    ln_factor: float

    def predict(self, gflops: Floats) -> Floats:
        """Samples seen at each compute (GFLOPs)."""
        return np.asarray(np.exp(self.ln_factor + self.exponent * np.log(gflops)))

    def interval(self, gflops: Floats) -> tuple[Floats, Floats]:
        """Confidence interval of the line, by the t of ordinary least squares."""
        ln = np.log(self.gflops)
        degrees = len(ln) - 2
        residual = np.log(self.samples) - np.log(self.predict(self.gflops))
        variance = float(residual @ residual) / degrees
        away = (np.log(gflops) - ln.mean()) ** 2 / float(np.sum((ln - ln.mean()) ** 2))
        factor = np.exp(student_t(LEVEL, degrees) * np.sqrt(variance * (1 / len(ln) + away)))
        line = self.predict(gflops)
        return line / factor, line * factor

    @property
    def text(self) -> str:
        """The line with its numbers."""
        return rf"{self.name}: ${np.exp(self.ln_factor):#.3g}\,C^{{{self.exponent:.3f}}}$"


@dataclass(frozen=True, eq=False)
class OptimalPanel:
    """See `Panel`."""

    title: str
    lines: tuple[OptimalLine, ...]
    notes: tuple[str, ...]
    options: PanelOptions

    def _end(self, line: OptimalLine) -> float:
        return max(self.options.draw_to, float(line.gflops[-1]), *self.options.predict_at)

    def draw(self, ax: Axes) -> None:
        """See `Panel.draw`."""
        names = [line.name for line in self.lines]
        for line in self.lines:
            look = look_of(line.name, names)
            ax.scatter(line.gflops, line.samples, s=12, color=look.color, marker=look.marker, lw=0)
            gflops = np.geomspace(line.gflops[0], self._end(line), CURVE_POINTS)
            ax.fill_between(gflops, *line.interval(gflops), color=look.color, alpha=0.16, lw=0)
            fitted = gflops[gflops <= line.gflops[-1]]
            beyond = gflops[gflops >= fitted[-1]]
            ax.plot(fitted, line.predict(fitted), color=look.color, label=line.text)
            ax.plot(beyond, line.predict(beyond), color=look.color, ls=(0, (4, 2)))
        ax.set(xscale="log", yscale="log", xlabel="Compute (forward GFLOPs)")
        ax.set_ylabel("Compute-optimal samples seen")
        label_powers(ax)
        ax.legend(loc="upper left", handlelength=1.8, labelspacing=0.3)

    def legend(self) -> list[Artist]:
        """See `Panel.legend`."""
        return [
            Line2D([], [], color="0.4", ls="", marker="o", ms=4, label="frontier"),
            Line2D([], [], color="0.4", ls=(0, (4, 2)), label="extrapolated"),
            Patch(color="0.4", alpha=0.2, lw=0, label=f"{LEVEL:.0%} interval of the line"),
        ]

    def rows(self) -> list[Row]:
        """See `Panel.rows`."""
        rows: list[Row] = []
        for line in self.lines:
            shared = {"panel": self.title, "contestant": line.name}
            rows += [
                {**shared, "what": "frontier", "compute_gflops": x, "samples_seen": seen}
                for x, seen in zip(line.gflops.tolist(), line.samples.tolist(), strict=True)
            ]
            at = np.array(self.options.predict_at)
            columns = at, line.predict(at), *line.interval(at)
            rows += [
                {
                    **shared,
                    "what": "prediction",
                    "compute_gflops": x,
                    "samples_seen": seen,
                    "low": low,
                    "high": high,
                }
                for x, seen, low, high in zip(*(one.tolist() for one in columns), strict=True)
            ]
        return rows

    def coefficients(self) -> list[Row]:
        """See `Panel.coefficients`."""
        return [
            {
                "panel": self.title,
                "x": "compute_gflops",
                "family": line.name,
                "law": "line",
                "parameters": {"A": float(np.exp(line.ln_factor)), "alpha": -line.exponent},
                "n_points": len(line.gflops),
            }
            for line in self.lines
        ]


def optimal_panel(points: pd.DataFrame, title: str, options: PanelOptions) -> OptimalPanel:
    """The line of each contestant (column `family`) in one setting.

    Raises `FitError` if no contestant has a frontier of three points.
    """
    lines, notes = [], []
    for name in dict.fromkeys(points["family"]):
        cells = points[points["family"] == name]
        gflops, error, samples = (
            cells[column].to_numpy(dtype=float)
            for column in ("compute_gflops", "error", "samples_seen")
        )
        best = frontier("pareto", gflops, error)
        kept = best.gflops <= options.limit_of(name)
        if int(kept.sum()) < 3:
            notes.append(f"{title}, {name}: a line needs a frontier of 3 points or more")
            continue
        x, y = best.gflops[kept], samples[best.index][kept]
        exponent, ln_factor = np.polyfit(np.log(x), np.log(y), 1)
        lines.append(OptimalLine(name, x, y, float(exponent), float(ln_factor)))
    if not lines:
        raise FitError("; ".join(notes) or f"{title}: there are no points")
    return OptimalPanel(title, tuple(lines), tuple(notes), options)
