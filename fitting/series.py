"""Series: the cells that one family reached on one task, checked before anything is fitted."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.special import stdtr

from fitting.columns import check_columns
from fitting.errors import FitError
from fitting.frontier import Cells

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from fitting.errors import Floats, Integers, Masks

SETTING_COLUMNS = ("study", "dataset", "schedule", "task", "metric")
REQUIRED_COLUMNS = (
    *SETTING_COLUMNS,
    "family",
    "model",
    "samples_seen",
    "compute_gflops",
    "error",
)
OPTIONAL_COLUMNS = ("trial", "seed")
"""They tell repeated measurements from repeated rows; cells of one trial share their fate."""
CHANCE_COLUMNS = ("chance_error", "classes")
"""Error of a model that has learned nothing, or the number of classes, of which 1 is right."""
LOSS_NAMES = re.compile(r"loss|perplexity|ppl|nll|entropy|bits_per|bpb|bpc")
"""Metrics that are no fraction, so that an error above 1 is no mistake."""
LEAST_FALL = 0.01
"""Relative fall from the highest to the lowest error below which nothing has been learned yet."""
COMPUTES = (1e-30, 1e30)
"""GFLOPs, or another unit that someone counts in; 1e18 is the most that was ever trained with."""
WIDEST = 1e20
"""Largest compute relative to the smallest; published grids span 1e6."""
ERRORS = (1e-30, 1e30)
"""Largest error or loss of a series."""
CHANCE_P_VALUE = 0.01
"""Cells that only scatter look like a falling frontier, because a running minimum always falls.

So the cells themselves, before the frontier, must fall with compute at this significance.
"""


class Setting(NamedTuple):
    """What contestants share when they are compared."""

    study: str
    dataset: str
    schedule: str
    task: str
    metric: str

    def __str__(self) -> str:
        """The five names on one line."""
        return " / ".join(self)

    @property
    def is_fraction(self) -> bool:
        """Whether an error lies in [0, 1]."""
        return not LOSS_NAMES.search(self.metric.lower())

    @property
    def error_label(self) -> str:
        """What the error is: 1 - accuracy, or the metric itself if it is a loss or an error."""
        is_own = not self.is_fraction or "error" in self.metric.lower()
        return self.metric if is_own else f"Error (1 - {self.metric})"


@dataclass(frozen=True, eq=False)
class Series:
    """The cells of one family in one setting, by ascending compute."""

    setting: Setting
    family: str
    gflops: Floats
    """Total forward compute of each cell (m,)."""
    error: Floats
    """Error of each cell (m,), a fraction unless the metric is a loss."""
    duplicates: int
    """Rows that repeated another one in every column and were counted once."""
    max_compute: float
    """Cells above it are held out; inf if none are."""
    samples_seen: Floats | None = None
    """Samples seen of each cell (m,)."""
    run: Integers | None = None
    """A number for each cell (m,), the same for cells of one trial."""
    chance_error: float | None = None
    """Error of a model that has learned nothing; None if the table does not say."""

    @property
    def cells(self) -> Cells:
        """The cells that may be fitted, as frontier methods take them."""
        return Cells(
            self.gflops,
            self.error,
            self.samples_seen,
            self.chance_error,
            self.setting.is_fraction,
        ).take(~self.is_held_out)

    @property
    def is_held_out(self) -> Masks:
        """Which cells are held out (m,)."""
        return self.gflops > self.max_compute

    @property
    def training(self) -> tuple[Floats, Floats]:
        """Compute and error of the cells that may be fitted."""
        kept = ~self.is_held_out
        return self.gflops[kept], self.error[kept]

    def up_to(self, gflops: float) -> Series:
        """The cells at or below `gflops` and nothing else, so that nothing can leak."""
        kept = self.gflops <= gflops
        # Every array of a series holds a value for each cell.
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        cells: dict[str, Any] = {
            name: value[kept] for name, value in values.items() if isinstance(value, np.ndarray)
        }
        return replace(self, max_compute=np.inf, **cells)

    def check(self) -> None:
        """Raise `FitError` if these cells cannot say how error falls with compute."""
        _check_numbers(self)
        gflops, error = self.training
        beyond = f" at or below {self.max_compute:.3g} GFLOPs" if self.is_held_out.any() else ""
        if len(np.unique(gflops)) < 2:
            at = f", all at {gflops[0]:.3g} GFLOPs" if len(gflops) else ""
            raise FitError(
                f"{len(gflops)} cells{beyond}{at}: a law needs cells of different compute"
            )
        if error.min() >= (1 - LEAST_FALL) * error.max():
            raise FitError(
                f"all {len(error)} cells{beyond} lie between {error.min():.4g} and "
                f"{error.max():.4g}, within 1 % of one another: they are at chance, or there is "
                "too little compute to tell"
            )
        correlation = _rank_correlation(gflops, error)
        if _p_value(correlation, len(error)) > CHANCE_P_VALUE:
            raise FitError(
                f"the error of {len(error)} cells{beyond} does not fall with compute (rank "
                f"correlation {correlation:+.2f}, not below 0 at p = {CHANCE_P_VALUE}): they are "
                "at chance, too few, or scatter too much"
            )


def read_series(
    points: pd.DataFrame, families: Sequence[str] | None, max_compute_of: Callable[[str], float]
) -> list[Series]:
    """Group tidy rows into series, sorted by setting, then by the order of `families`.

    `points` has `REQUIRED_COLUMNS` and may have `OPTIONAL_COLUMNS` and one of `CHANCE_COLUMNS`;
    one row is one measurement. `max_compute_of` gives the GFLOPs above which a study's cells are
    held out.
    Raises `FitError` if a column or a family is missing, text stands for a number, or the chance
    of a series is no error or given twice.
    """
    _check_table(points)
    identity = [name for name in (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS) if name in points.columns]
    wanted = points if families is None else points[points["family"].isin(list(families))]
    rank = None if families is None else {name: i for i, name in enumerate(families)}
    found = []
    for key, rows in wanted.groupby([*SETTING_COLUMNS, "family"], sort=True):
        *setting, family = (str(part) for part in key)
        cells = rows.drop_duplicates(subset=identity).sort_values(["compute_gflops", "error"])
        found.append(
            Series(
                setting=Setting(*setting),
                family=family,
                gflops=cells["compute_gflops"].to_numpy(dtype=np.float64),
                error=cells["error"].to_numpy(dtype=np.float64),
                duplicates=len(rows) - len(cells),
                max_compute=max_compute_of(setting[0]),
                samples_seen=cells["samples_seen"].to_numpy(dtype=np.float64),
                run=_runs(cells),
                chance_error=_chance_error(cells, " / ".join((*setting, family))),
            )
        )
    if rank is not None:
        found.sort(key=lambda series: (series.setting, rank[series.family]))
    return found


def _check_table(points: pd.DataFrame) -> None:
    check_columns(points, REQUIRED_COLUMNS)
    nameless = [name for name in (*SETTING_COLUMNS, "family") if points[name].isna().any()]
    if nameless:
        raise FitError(f"some rows of the table of points have no {' and no '.join(nameless)}")


def _runs(cells: pd.DataFrame) -> Integers:
    """A number for each trial; cells without a trial are each their own."""
    own = np.arange(len(cells))
    if "trial" not in cells.columns:
        return own
    names = cells["trial"]
    _, code = np.unique(names.astype(str).to_numpy(), return_inverse=True)
    return np.where(names.isna().to_numpy(), len(cells) + own, code.reshape(-1))


def _chance_error(cells: pd.DataFrame, name: str) -> float | None:
    for column in CHANCE_COLUMNS:
        if column not in cells.columns:
            continue
        given = cells[column].dropna().unique()
        if len(given) > 1:
            raise FitError(f"{name} has {len(given)} different values of {column}")
        if len(given):
            value = float(given[0])
            least = 0 if column == "chance_error" else 1
            if not least < value < np.inf:
                raise FitError(
                    f"{name} has {column} {value:g}; give a finite number above {least}"
                )
            return value if column == "chance_error" else 1 - 1 / value
    return None


def _check_numbers(series: Series) -> None:
    unknown = int(np.sum(~np.isfinite(series.error)))
    if unknown:
        raise FitError(f"{unknown} of {len(series.error)} cells have no finite error (NaN or inf)")
    for name, column in (("compute", series.gflops), ("samples seen", series.samples_seen)):
        if column is not None and (free := int(np.sum(~(np.isfinite(column) & (column > 0))))):
            raise FitError(f"{free} of {len(column)} cells have no positive, finite {name}")
    low, high = series.error.min(), series.error.max()
    if low < 0 or (high > 1 and series.setting.is_fraction):
        raise FitError(
            f"errors from {low:.4g} to {high:.4g} where {series.setting.metric} allows 0 to 1: "
            "give fractions, not percent"
            if series.setting.is_fraction
            else f"the lowest {series.setting.metric} is {low:.4g}; a loss cannot be negative"
        )
    _check_sizes(series)


def _check_sizes(series: Series) -> None:
    """Refuse numbers that no measurement has, before their squares overflow."""
    gflops, largest = series.gflops, series.error.max()
    low, high = gflops.min(), gflops.max()
    if low < COMPUTES[0] or high > COMPUTES[1] or high > WIDEST * low:
        raise FitError(
            f"computes from {low:.3g} to {high:.3g} GFLOPs are no study's: they must lie between "
            f"{COMPUTES[0]:g} and {COMPUTES[1]:g}, within a factor of {WIDEST:g} of one another"
        )
    if largest > ERRORS[1] or 0 < largest < ERRORS[0]:
        raise FitError(
            f"the largest {series.setting.metric} is {largest:.3g}, where {ERRORS[0]:g} to "
            f"{ERRORS[1]:g} can be fitted"
        )


def _rank_correlation(x: Floats, y: Floats) -> float:
    """Spearman's: the correlation of ranks, equal values sharing theirs."""
    return float(np.corrcoef(_ranks(x), _ranks(y))[0, 1])


def _ranks(values: Floats) -> Floats:
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[place]


def _p_value(correlation: float, size: int) -> float:
    """Probability of a rank correlation this low among cells that do not depend on compute."""
    if size < 3:
        return 1.0
    spread = max(1 - correlation**2, 1e-12)
    return float(stdtr(size - 2, correlation * np.sqrt((size - 2) / spread)))
