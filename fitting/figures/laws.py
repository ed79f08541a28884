"""Error against compute, or samples seen: cells, frontier, law and band of each contestant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fitting.compare import find_crossing
from fitting.errors import FitError
from fitting.options import Options
from fitting.plots import draw_fit, dress, mark_crossing, symbols
from fitting.report import fit_entry
from fitting.series import read_series
from fitting.style import look_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from fitting.compare import Crossing
    from fitting.figures.panel import PanelOptions, Row
    from fitting.series_fit import SeriesFit

X_LABELS = {"compute_gflops": "Compute (forward GFLOPs)", "samples_seen": "Samples seen"}
SYMBOLS = {"compute_gflops": "C", "samples_seen": "D"}
CURVE_ROWS = 60
"""Places of a law among the numbers behind a figure."""


@dataclass(frozen=True, eq=False)
class LawsPanel:
    """See `Panel`."""

    title: str
    fits: tuple[SeriesFit, ...]
    crossing: Crossing | None
    notes: tuple[str, ...]
    options: PanelOptions

    @property
    def end(self) -> float:
        """How far laws are drawn."""
        return max(self.options.draw_to, *(fit.largest_measured for fit in self.fits))

    def draw(self, ax: Axes) -> None:
        """See `Panel.draw`."""
        names = [fit.series.family for fit in self.fits]
        for fit in self.fits:
            look = look_of(fit.series.family, names)
            draw_fit(ax, fit, look=look, end=self.end, symbol=SYMBOLS[self.options.x])
        dress(ax, self.fits[0].series.setting, self.fits, self.end)
        ax.set_xlabel(X_LABELS[self.options.x])
        if self.crossing is not None and self.options.x == "compute_gflops":
            mark_crossing(ax, self.crossing, self.fits[0])
        ax.legend(loc="lower left", handlelength=1.8, labelspacing=0.3).set_zorder(6)

    def legend(self) -> list[Artist]:
        """See `Panel.legend`."""
        return list(symbols(self.fits))

    def rows(self) -> list[Row]:
        """See `Panel.rows`."""
        return [row for fit in self.fits for row in self._rows_of(fit)]

    def _rows_of(self, fit: SeriesFit) -> list[Row]:
        shared = {"panel": self.title, "contestant": fit.series.family}
        points = {
            "cell": (fit.series.gflops, fit.series.error),
            "frontier": (fit.frontier.gflops, fit.frontier.error),
            "held-out frontier": (fit.held_out.gflops, fit.held_out.error),
        }
        rows: list[Row] = [
            {**shared, "what": what, self.options.x: x, "error": error}
            for what, (xs, errors) in points.items()
            for x, error in zip(xs.tolist(), errors.tolist(), strict=True)
        ]
        places = np.geomspace(fit.fit.gflops[0], self.end, CURVE_ROWS)
        for what, at in (("law", places), ("prediction", np.array(self.options.predict_at))):
            columns = at, fit.fit.predict(at), *fit.interval(at)
            rows += [
                {**shared, "what": what, self.options.x: x, "error": e, "low": low, "high": high}
                for x, e, low, high in zip(*(one.tolist() for one in columns), strict=True)
            ]
        return rows

    def coefficients(self) -> list[Row]:
        """See `Panel.coefficients`."""
        return [
            {"panel": self.title, "x": self.options.x, **fit_entry(fit, self.options.predict_at)}
            for fit in self.fits
        ]


def laws_panel(points: pd.DataFrame, title: str, options: PanelOptions) -> LawsPanel:
    """Fit every contestant (column `family`) of one setting.

    Raises `FitError` if none can be fitted; what of several cannot is among the notes.
    """
    # A series calls what it is a function of compute; its law knows no unit.
    points = points.assign(compute_gflops=points[options.x])
    fits, notes = [], []
    for name in dict.fromkeys(points["family"]):
        how = Options(
            law=options.law,
            frontier=options.frontier,
            refits=options.refits,
            seed=options.seed,
            calibrate=False,  # no interval of a new run is drawn
        )
        limit = options.limit_of(name)
        (series,) = read_series(points, [name], lambda _, limit=limit: limit)  # type: ignore[misc]
        try:
            fits.append(how.estimator.apply(series))
        except FitError as error:
            notes.append(f"{title}, {name}: {error}")
    if not fits:
        raise FitError("; ".join(notes) or f"{title}: there are no points")
    crossing = find_crossing(*fits) if len(fits) == 2 else None
    return LawsPanel(title, tuple(fits), crossing, tuple(notes), options)
