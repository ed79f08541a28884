"""The entry point: a table of measured points in, fits and comparisons out."""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import combinations
from typing import TYPE_CHECKING, Any

from fitting import report
from fitting.calibrated import calibrated
from fitting.compare import Comparison
from fitting.compare import compare as compare_two
from fitting.errors import FitError
from fitting.options import Options
from fitting.provenance import versions
from fitting.sensitivity import Variant, sensitivity
from fitting.series import read_series

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from fitting.series import Series, Setting
    from fitting.series_fit import SeriesFit

__all__ = ["Analysis", "Failure", "Options", "analyse"]

FURTHER = 10.0
"""The second default target, relative to the largest compute that all contestants reached."""


@dataclass(frozen=True)
class Failure:
    """A series that cannot be fitted, and why."""

    setting: Setting
    family: str
    reason: str

    def __str__(self) -> str:
        """Series and reason on one line."""
        return f"{self.setting} / {self.family}: {self.reason}"


@dataclass(frozen=True, eq=False)
class Analysis:
    """Every series that could be fitted, the comparisons among them, and what failed."""

    options: Options
    fits: tuple[SeriesFit, ...]
    comparisons: tuple[Comparison, ...]
    failures: tuple[Failure, ...]
    targets: Mapping[Setting, tuple[float, ...]] = field(default_factory=dict)
    """Computes at which each setting's contestants are compared; empty without a comparison."""
    variants: tuple[tuple[Variant, ...], ...] = ()
    """Of each comparison, if `options.sensitivity` asks for them."""

    def targets_of(self, fit: SeriesFit) -> tuple[float, ...]:
        """Computes (GFLOPs) at which a fit is predicted."""
        own = _default_targets([fit])
        return self.targets.get(fit.series.setting, self.options.targets or own)

    def find(self, setting: Setting, family: str) -> SeriesFit:
        """The fit of one series; `KeyError` if there is none."""
        for fit in self.fits:
            if (fit.series.setting, fit.series.family) == (setting, family):
                return fit
        raise KeyError((setting, family))

    def to_json(self) -> dict[str, Any]:
        """Plain Python values that strict JSON can hold; see `fitting.report` for the keys."""
        return {
            "fits": [report.fit_entry(fit, self.targets_of(fit)) for fit in self.fits],
            "comparisons": self._comparison_entries(),
            "failures": [
                {**one.setting._asdict(), "family": one.family, "reason": one.reason}
                for one in self.failures
            ],
            "options": report.options_entry(self.options),
            "versions": versions(),
        }

    def _comparison_entries(self) -> list[dict[str, Any]]:
        entries = [report.comparison_entry(one) for one in self.comparisons]
        for entry, variants in zip(entries, self.variants, strict=False):
            entry["sensitivity"] = report.sensitivity_entry(variants)
        return entries


def analyse(
    points: pd.DataFrame,
    options: Options,
    compare: Sequence[str] | None = None,
    *,
    calibrate_on: pd.DataFrame | None = None,
) -> Analysis:
    """Fit every series of `points` and compare families where they share a setting.

    `points` holds one measurement a row: study, dataset, schedule, task, metric, family, model,
    samples_seen, compute_gflops (forward, total), error (a fraction, or a loss), and optionally
    trial and seed, which tell repeated measurements from repeated rows, and chance_error or
    classes, which say what a model without training scores. `compare` names families;
    every pair (a, b) of them in the order given is compared. Without it all series are fitted and
    none compared.

    Intervals of new runs are calibrated on the series of `calibrate_on`, a table of the same kind
    and by default `points`: give more of the study where `points` holds few series of it. Only
    cells that are not held out are used, and no series is calibrated on itself.

    Raises `FitError` if no series could be fitted, or if the table or the families are wrong.
    """
    _check_families(points, compare)
    fits: list[SeriesFit] = []
    failures: list[Failure] = []
    for series in read_series(points, compare, options.max_compute_of):
        try:
            fits.append(options.estimator.apply(series))
        except FitError as error:
            failures.append(_failure(series, error))
    if not fits:
        reasons = "\n".join(f"  {failure}" for failure in failures)
        raise FitError(f"none of {len(failures)} series could be fitted:\n{reasons}")
    if options.calibrate:
        fits = calibrated(fits, points if calibrate_on is None else calibrate_on, options)
    if compare is None:
        return Analysis(options, tuple(fits), (), tuple(failures))
    settings = _by_setting(fits)
    targets = {
        setting: options.targets or _default_targets(contestants)
        for setting, contestants in settings.items()
    }
    pairs = [
        (a, b, targets[setting])
        for setting, contestants in settings.items()
        for a, b in combinations(contestants, 2)
    ]
    return Analysis(
        options=options,
        fits=tuple(fits),
        comparisons=tuple(compare_two(*pair) for pair in pairs),
        failures=tuple(failures),
        targets=targets,
        variants=tuple(sensitivity(*pair) for pair in pairs) if options.sensitivity else (),
    )


def _by_setting(fits: list[SeriesFit]) -> dict[Setting, list[SeriesFit]]:
    """Fits of one setting together, in the order of the families."""
    settings: dict[Setting, list[SeriesFit]] = {}
    for fit in fits:
        settings.setdefault(fit.series.setting, []).append(fit)
    return settings


def _default_targets(contestants: list[SeriesFit]) -> tuple[float, ...]:
    """The largest compute that every contestant has reached, and ten times that."""
    reached = min(fit.largest_measured for fit in contestants)
    return reached, FURTHER * reached


def _failure(series: Series, error: FitError) -> Failure:
    said = f" ({series.duplicates} repeated rows counted once)" if series.duplicates else ""
    return Failure(series.setting, series.family, f"{error}{said}")


def _check_families(points: pd.DataFrame, compare: Sequence[str] | None) -> None:
    if compare is None or "family" not in points:
        return
    if len(compare) < 2 or len(set(compare)) < len(compare):
        raise FitError(f"to compare takes two different families; given: {', '.join(compare)}")
    known = sorted(str(name) for name in points["family"].dropna().unique())
    problems = []
    for name in compare:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            problems.append(f"no points of family {name!r}{hint}")
    if problems:
        raise FitError(f"{'; '.join(problems)} (there are: {', '.join(known) or 'none'})")
