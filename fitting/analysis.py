"""The entry point: a table of measured points in, fits and comparisons out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from fitting import report
from fitting.compare import Comparison, compare
from fitting.errors import FitError
from fitting.frontier import method_named
from fitting.laws import law_named
from fitting.series import read_series
from fitting.series_fit import Estimator, SeriesFit

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from fitting.series import Series, Setting

FEWEST_REFITS = 100
"""A 95 % interval of fewer refits would hang on its two outermost ones."""
FURTHER = 10.0
"""The second default target, relative to the largest compute that all contestants reached."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to fit; every problem of the options is reported at once, as a `FitError`."""

    law: str = "saturating"
    frontier: str = "bins"
    max_compute: float | Mapping[str, float] | None = None
    """GFLOPs above which cells are held out, or that of each study; None holds out nothing."""
    targets: tuple[float, ...] = ()
    """Computes (GFLOPs) to predict at; by default the largest that all contestants of a setting
    have reached, and 10 times that."""
    refits: int = 1000
    level: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        """Check every field."""
        problems = []
        for look_up, name in ((law_named, self.law), (method_named, self.frontier)):
            try:
                look_up(name)
            except FitError as error:
                problems.append(str(error))
        if not all(_is_compute(limit) for limit in self._limits()):
            problems.append(f"max_compute is {self.max_compute}; give positive GFLOPs")
        if not all(_is_compute(target) for target in self.targets):
            problems.append(f"targets are {self.targets}; give positive, finite GFLOPs")
        if self.refits < FEWEST_REFITS:
            problems.append(f"refits is {self.refits}; at least {FEWEST_REFITS} are needed")
        if not 0.5 <= self.level < 1:
            problems.append(f"level is {self.level}; give a fraction from 0.5 to below 1")
        if self.seed < 0:
            problems.append(f"seed is {self.seed}; it cannot be negative")
        if problems:
            raise FitError("; ".join(problems))

    @property
    def estimator(self) -> Estimator:
        """The options that concern one series."""
        return Estimator(
            law=law_named(self.law),
            frontier=self.frontier,
            refits=self.refits,
            level=self.level,
            seed=self.seed,
        )

    def max_compute_of(self, study: str) -> float:
        """GFLOPs above which cells of `study` are held out, inf for none."""
        if isinstance(self.max_compute, Mapping):
            return float(self.max_compute.get(study, np.inf))
        return np.inf if self.max_compute is None else float(self.max_compute)

    def _limits(self) -> tuple[float, ...]:
        if isinstance(self.max_compute, Mapping):
            return tuple(self.max_compute.values())
        return () if self.max_compute is None else (self.max_compute,)


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
            "comparisons": [report.comparison_entry(one) for one in self.comparisons],
            "failures": [
                {**one.setting._asdict(), "family": one.family, "reason": one.reason}
                for one in self.failures
            ],
            "options": report.options_entry(self.options),
        }


def analyse(
    points: pd.DataFrame, options: Options, compare: Sequence[str] | None = None
) -> Analysis:
    """Fit every series of `points` and compare families where they share a setting.

    `points` holds one measurement a row: study, dataset, schedule, task, metric, family, model,
    samples_seen, compute_gflops (forward, total), error (a fraction, or a loss), and optionally
    trial and seed, which tell repeated measurements from repeated rows. `compare` names families;
    every pair (a, b) of them in the order given is compared. Without it all series are fitted and
    none compared.

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
    if compare is None:
        return Analysis(options, tuple(fits), (), tuple(failures))
    settings = _by_setting(fits)
    targets = {
        setting: options.targets or _default_targets(contestants)
        for setting, contestants in settings.items()
    }
    return Analysis(
        options=options,
        fits=tuple(fits),
        comparisons=_compare_all(settings, targets),
        failures=tuple(failures),
        targets=targets,
    )


def _compare_all(
    settings: Mapping[Setting, list[SeriesFit]], targets: Mapping[Setting, tuple[float, ...]]
) -> tuple[Comparison, ...]:
    return tuple(
        compare(a, b, targets[setting])
        for setting, contestants in settings.items()
        for a, b in combinations(contestants, 2)
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


def _is_compute(value: float) -> bool:
    return bool(np.isfinite(value) and value > 0)
