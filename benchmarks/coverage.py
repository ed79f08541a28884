"""How often nominal 95 % intervals hold the truth, 4 times beyond the largest compute.

    python benchmarks/coverage.py [--experiments 600] [--seed 0]

Points are drawn where published frontiers have theirs (arXiv:2506.04598, ImageNet-1k error), from
the law that was fitted to them plus noise, and fitted again; the truth is the law at 4 times the
largest compute. In the scenarios called "drawn" each experiment has its own truth, with alpha and
E from the weak prior. On average over those the default estimator claims its 95 %: it must cover
more near the prior's centre and less far from it. Standard error of a coverage of 0.95 from 600
experiments: 0.009. `flag` is the share of experiments in which the tests of the residuals withdraw
the claim (default estimator).
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # The script next to this one is called as the package is.
    sys.path[:] = [place for place in sys.path if Path(place) != Path(__file__).parent]

import numpy as np
import pandas as pd

from fitting import LAWS, Options
from fitting.errors import Floats
from fitting.fit import Fit, fit, student_t
from fitting.frontier import frontier
from fitting.likelihood import profile_interval
from fitting.objective import Objective
from fitting.prior import WEAK

PUBLISHED = Path(__file__).parents[1] / "experiments" / "published"
FURTHER = 4.0
LEVEL = 0.95
Noise = Callable[[np.random.Generator, "Truth"], Floats]


@dataclass(frozen=True)
class Truth:
    """A law and the computes at which it is measured."""

    gflops: Floats
    law: Fit
    sd: float
    """Typical residual of the published frontier."""

    @property
    def error(self) -> Floats:
        """The law at those computes."""
        return self.law.predict(self.gflops)

    @property
    def falling_sd(self) -> Floats:
        """Noise that falls with compute, from 0.018 to 0.005."""
        place = np.log(self.gflops / self.gflops[0]) / np.log(self.gflops[-1] / self.gflops[0])
        return 0.018 + (0.005 - 0.018) * place

    def short(self) -> "Truth":
        """Every second point up to 1e11 GFLOPs."""
        return Truth(self.gflops[self.gflops <= 1e11][::2], self.law, self.sd)

    def drawn(self, rng: np.random.Generator) -> "Truth":
        """Another truth at the same computes: alpha and E of the weak prior, B as published."""
        ln_b = self.law.parameters["lnB"] - np.log(self.law.scale)
        ln_alpha, floor = rng.normal(*WEAK.ln_alpha), -1.0
        while floor < 0:
            floor = rng.normal(*WEAK.floor)
        law = replace(self.law, law=LAWS["anchored"], theta=np.array([ln_b, ln_alpha, floor]))
        return replace(self, law=law)


def same(rng: np.random.Generator, truth: Truth) -> Floats:
    """Equal and independent."""
    return truth.sd * rng.standard_normal(len(truth.gflops))


def proportional(rng: np.random.Generator, truth: Truth) -> Floats:
    """2 % of the error."""
    return truth.error * np.expm1(0.02 * rng.standard_normal(len(truth.gflops)))


def falling(rng: np.random.Generator, truth: Truth) -> Floats:
    """Falling with compute."""
    return truth.falling_sd * rng.standard_normal(len(truth.gflops))


def heavy(rng: np.random.Generator, truth: Truth) -> Floats:
    """Falling with compute, with the tails of Student's t of 4 degrees of freedom."""
    return truth.falling_sd * rng.standard_t(4, len(truth.gflops)) / np.sqrt(2)


def skewed(rng: np.random.Generator, truth: Truth) -> Floats:
    """A centred gamma distribution: trials fail upwards."""
    return truth.sd * (rng.gamma(2.0, size=len(truth.gflops)) - 2) / np.sqrt(2)


def wandering(rng: np.random.Generator, truth: Truth) -> Floats:
    """Each point correlated with the next at 0.5: a law of the wrong shape."""
    noise = rng.standard_normal(len(truth.gflops))
    for i in range(1, len(noise)):
        noise[i] = 0.5 * noise[i - 1] + np.sqrt(0.75) * noise[i]
    return truth.sd * noise


@dataclass(frozen=True)
class Scenario:
    """What experiments are repeated."""

    truth: Truth
    noise: Noise
    is_drawn: bool = False
    """Whether each experiment draws its own truth from the prior."""

    @property
    def target(self) -> Floats:
        """The compute (1,) at which intervals are judged, in GFLOPs."""
        return np.array([FURTHER * self.truth.gflops[-1]])


def scenarios() -> dict[str, Scenario]:
    """The scenarios by name."""
    clip = _truth("datacomp_1b", "clip", 0.0139)
    mammut = _truth("datacomp_1b", "mammut", 0.0075)
    no_floor = _truth("relaion2b-en", "mammut", 0.0075)
    fixed: dict[str, tuple[Truth, Noise]] = {
        "same": (clip, same),
        "same, mammut": (mammut, same),
        "proportional": (clip, proportional),
        "falling": (clip, falling),
        "heavy tails": (clip, heavy),
        "skewed": (clip, skewed),
        "E = 0, same": (no_floor, same),
        "E = 0, falling": (no_floor, falling),
        "few, same": (clip.short(), same),
        "few, falling": (clip.short(), falling),
        "few, mammut": (mammut.short(), same),
        "wandering": (clip, wandering),
    }
    drawn = ("same", "same, mammut", "falling", "few, same", "few, falling", "few, mammut")
    return {name: Scenario(*one) for name, one in fixed.items()} | {
        f"{name}, drawn": Scenario(*fixed[name], is_drawn=True) for name in drawn
    }


def _truth(dataset: str, family: str, sd: float) -> Truth:
    rows = pd.read_csv(PUBLISHED / "measurements.csv")
    profile = pd.read_csv(PUBLISHED / "model_profile.csv")
    profile = profile[["family", "model", "forward_gflops_per_sample"]]
    rows = rows[
        (rows["dataset"] == dataset)
        & (rows["family"] == family)
        & (rows["schedule"] == "cosine")
        & (rows["task"] == "imagenet1k")
        & (rows["metric"] == "acc1")
        & (rows["samples_seen"] <= 1e10)
    ].merge(profile, on=["family", "model"])
    gflops = (rows["forward_gflops_per_sample"] * rows["samples_seen"]).to_numpy()
    error = 1 - rows["value"].to_numpy()
    kept = gflops <= 1e12
    best = frontier("published", gflops[kept], error[kept])
    return Truth(best.gflops, fit(LAWS["saturating"], best.gflops, best.error), sd)


DEFAULT = Options().estimator
NO_PRIOR = Options(prior="none").estimator


@dataclass(frozen=True)
class Coverage:
    """How intervals of one method did in one scenario."""

    covered: float
    width: float
    """Median, in percentage points."""


def experiments(scenario: Scenario, count: int, seed: int) -> Iterator[tuple[Fit, float]]:
    """Fits by the default estimator, and the error that the law of each has at the target."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        truth = scenario.truth.drawn(rng) if scenario.is_drawn else scenario.truth
        error = np.clip(truth.error + scenario.noise(rng, truth), 1e-3, 1.0)
        found = fit(LAWS["anchored"], truth.gflops, error, DEFAULT.objective)
        yield found, float(truth.law.predict(scenario.target)[0])


def measure(scenario: Scenario, count: int, seed: int) -> tuple[dict[str, Coverage], float]:
    """Coverage of every method, and how often the residuals of the default withdraw the claim."""
    outcomes: dict[str, list[tuple[bool, float]]] = {}
    flagged = 0
    for default, true in experiments(scenario, count, seed):
        flagged += default.diagnostics.shows_misfit
        for name, low, high in intervals(default, scenario.target):
            outcomes.setdefault(name, []).append((low <= true <= high, high - low))
    found = {}
    for name, pairs in outcomes.items():
        inside, width = np.array(pairs).T
        found[name] = Coverage(float(inside.mean()), 100 * float(np.median(width)))
    return found, flagged / count


def intervals(default: Fit, target: Floats) -> Iterator[tuple[str, float, float]]:
    """Each method's interval of one experiment: name, low, high."""
    gflops, error = default.gflops, default.measured
    full = fit(LAWS["saturating"], gflops, error, Objective())
    free = fit(LAWS["anchored"], gflops, error, NO_PRIOR.objective)
    for name, (low, high) in {
        "default (t)": default.interval(target, LEVEL),
        "default, profile": profile_interval(default, target, LEVEL),
        "no prior (t)": free.interval(target, LEVEL),
        "no prior, profile": profile_interval(free, target, LEVEL),
        "4-parameter (t)": full.interval(target, LEVEL),
    }.items():
        yield name, low[0], high[0]
    half = np.log(student_t(LEVEL, full.degrees_of_freedom)) * full.standard_error(target)[0]
    center = full.predict(target)[0]
    yield "study: log of t", center - half, center + half


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--experiments", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    start = time.process_time()
    print(f"{given.experiments} experiments, seed {given.seed}: coverage (median width in pp)")
    for i, (name, scenario) in enumerate(scenarios().items()):
        found, flagged = measure(scenario, given.experiments, given.seed)
        if not i:
            print(f"{'':19} {'n':>3} {'flag':>5}" + "".join(f"{one:>20}" for one in found))
        cells = "".join(f"{one.covered:>11.3f} ({one.width:6.2f})" for one in found.values())
        size = len(scenario.truth.gflops)
        print(f"{name:19} {size:3} {flagged:5.2f}{cells}", flush=True)
    print(f"{time.process_time() - start:.0f} s of CPU")


if __name__ == "__main__":
    main()
