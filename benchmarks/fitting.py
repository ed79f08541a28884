"""Speed of fitting against the reference study's way, and what the laws are worth beyond the data.

    OMP_NUM_THREADS=1 python benchmarks/fitting.py

Every ratio is taken within this run, on the same points. The study's search (scipy's `curve_fit`
from each of 3,200 starts, all of them again for each bootstrap replicate) would take a day: a
random part of its starts is timed in CPU seconds and multiplied up, and the table says so.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
# This file is called fitting, too, and would be found first.
sys.path.remove(str(Path(__file__).parent))

import numpy as np
import pandas as pd
from scipy.optimize import curve_fit

from fitting.calibration import LeaveOut, calibrated_coverage
from fitting.fit import fit
from fitting.frontier import Frontier, frontier
from fitting.laws import law_named
from fitting.resample import refit
from fitting.surfaces import FOR_LOSSES, Cells
from fitting.validate import Backtest, backtest
from fitting.validate_choice import CHOSEN, choose
from fitting.validate_named import estimators_named

PUBLISHED = Path(__file__).parents[1] / "experiments" / "published"
FAMILIES = ("clip", "mammut")
STARTS = 3200
TIMED_STARTS = 60
REFITS = 1000
REPEATS = 50
LAW = law_named("saturating")


def published_points() -> pd.DataFrame:
    """The published measurements as `fitting` takes them."""
    profile = pd.read_csv(PUBLISHED / "model_profile.csv")
    points = pd.read_csv(PUBLISHED / "measurements.csv").merge(
        profile[["family", "model", "forward_gflops_per_sample"]], on=["family", "model"]
    )
    return points.assign(
        study="published",
        compute_gflops=points["forward_gflops_per_sample"] * points["samples_seen"],
        error=1 - points["value"],
    )


def figure_1(points: pd.DataFrame, family: str) -> tuple[np.ndarray, np.ndarray]:
    """Compute and error of the cells behind the study's first figure."""
    cells = points[
        (points["family"] == family)
        & (points["dataset"] == "datacomp_1b")
        & (points["schedule"] == "cosine")
        & (points["task"] == "imagenet1k")
        & (points["compute_gflops"] <= 1e12)
        & (points["samples_seen"] <= 1e10)
    ]
    return cells["compute_gflops"].to_numpy(), cells["error"].to_numpy()


def study_law(x: np.ndarray, a: float, b: float, c: float, d: float) -> np.ndarray:
    """The law in the coordinates that the study searches."""
    return a * (x + b) ** c + d


def study_starts() -> np.ndarray:
    """The study's 3,200 starts (a, b, c, d)."""
    grid = np.meshgrid(
        np.arange(0, 100, 5), np.arange(0, 100, 5), np.arange(-0.2, 0, 0.05), [0, 5e-4]
    )
    starts = np.stack(grid, axis=-1).reshape(-1, 4).astype(float)
    assert len(starts) == STARTS
    return starts


def study_search(best: Frontier, rng: np.random.Generator, *, resample: bool) -> tuple[float, ...]:
    """CPU seconds per start and the smallest squared error, over a random part of the starts."""
    lowest = np.inf
    starts = rng.choice(study_starts(), TIMED_STARTS, replace=False)
    seconds = 0.0
    for start in starts:
        drawn = rng.integers(len(best), size=len(best)) if resample else slice(None)
        x, y = best.gflops[drawn], best.error[drawn]
        began = time.process_time()
        try:
            found, _ = curve_fit(
                study_law,
                x,
                y,
                p0=start,
                bounds=([0, 0, -np.inf, 0], [np.inf, np.inf, 0, np.inf]),
                maxfev=10**6,
            )
            lowest = min(lowest, float(np.sum((study_law(x, *found) - y) ** 2)))
        except RuntimeError:
            pass  # The study, too, goes on to the next start.
        seconds += time.process_time() - began
    return seconds / TIMED_STARTS, lowest


def median_cpu_seconds(work: Callable[[], object], repeats: int) -> float:
    """Median CPU time of `work`, after once to warm up."""
    work()
    seconds = []
    for _ in range(repeats):
        began = time.process_time()
        work()
        seconds.append(time.process_time() - began)
    return float(np.median(seconds))


def speed(points: pd.DataFrame) -> None:
    """One fit, and 1,000 refits of resampled cells, against the study's way."""
    print(
        f"CPU seconds; the study's projected from {TIMED_STARTS} of its {STARTS} starts "
        f"(bootstrap: from {TIMED_STARTS} starts, each on another resample)"
    )
    rng = np.random.default_rng(0)
    for family in FAMILIES:
        gflops, error = figure_1(points, family)
        best = frontier("published", gflops, error)
        ours = fit(LAW, best.gflops, best.error)
        one = median_cpu_seconds(lambda b=best: fit(LAW, b.gflops, b.error), REPEATS)
        many = median_cpu_seconds(
            lambda c=(gflops, error), f=ours: refit(
                LAW, "published", c, scale=f.scale, refits=REFITS, seed=0
            ),
            5,
        )
        per_start, lowest = study_search(best, rng, resample=False)
        per_refit_start, _ = study_search(best, rng, resample=True)
        study_one, study_many = STARTS * per_start, REFITS * STARTS * per_refit_start
        print(
            f"  {family:7} one fit: {1e3 * one:.2f} ms, study {study_one:.0f} s, "
            f"{study_one / one:,.0f} times; squared error {ours.sse:.10f}, best of the study's "
            f"timed starts {lowest:.10f}"
        )
        print(
            f"  {'':7} {REFITS} refits: {many:.3f} s, study {study_many / 3600:.0f} h, "
            f"{study_many / many:,.0f} times"
        )


def program() -> None:
    """`scaling fit` over everything published, and its start-up."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    imports = "import scaling.cli.app, scaling.points, fitting, scaling.cli.fit_tables, pandas"
    with tempfile.TemporaryDirectory() as folder:
        scaling = [sys.executable, "-m", "scaling"]

        def seconds(command: list[str]) -> float:
            """Best of 3: the machine does other things besides."""
            took = []
            for _ in range(3):
                began = time.perf_counter()
                subprocess.run(
                    command, cwd=folder, env=environment, check=True, capture_output=True
                )
                took.append(time.perf_counter() - began)
            return min(took)

        subprocess.run([*scaling, "import", str(PUBLISHED)], cwd=folder, check=True)
        whole = seconds([*scaling, "fit", "--compare", *FAMILIES, "--refits", str(REFITS)])
        start = seconds([sys.executable, "-c", imports])
        print(
            f"scaling fit --compare clip mammut, all published series, {REFITS} refits each: "
            f"{whole:.2f} s wall, of which imports {start:.2f} s"
        )


def surface() -> None:
    """The law L(N, D) by log-Huber loss on 240 simulated runs, N and D as of the study refitted
    in arXiv:2404.10102, 1 % noise and a few outliers."""
    rng = np.random.default_rng(0)
    size, tokens = (
        np.exp(rng.uniform(*np.log(ends), 240)) for ends in ((5e7, 1.6e10), (3e8, 5e11))
    )
    loss = 1.82 + 482 / size**0.348 + 2085 / tokens**0.366
    loss *= np.exp(0.01 * rng.standard_normal(240) + 0.1 * (rng.random(240) < 0.02))
    cells = Cells.of(size, tokens, loss)
    seconds = median_cpu_seconds(lambda: FOR_LOSSES.apply(cells), 20)
    found = ", ".join(f"{k} {v:.4g}" for k, v in FOR_LOSSES.apply(cells).parameters.items())
    print(f"L(N, D), log-Huber, 240 points: {1e3 * seconds:.1f} ms of CPU ({found})")


WEIGHED = "weights=power:0.5,prior=weak"
CONTESTANTS = (
    "anchored",
    "anchored,frontier=published",
    "anchored,weights=equal,prior=none",
    "anchored,loss=log,prior=none",
    "saturating",
    "saturating,frontier=published",
    "saturating,loss=log",
    f"saturating,{WEIGHED}",
    "no-floor,loss=log",
    "auto",
)
"""What is tested side by side; the first is the default. Which of them each task gets in the row
"chosen" is decided by the other tasks. The weak prior itself is one number per parameter for all
series, but who wrote it down had seen the published fits; rows without it have seen nothing."""


def held_out(points: pd.DataFrame) -> None:
    """Rolling-origin backtest of every contestant, training reaching 1e10 GFLOPs."""
    rows = points[points["family"].isin(FAMILIES) & (points["schedule"] != "const-cooldown")]
    estimators = estimators_named(CONTESTANTS)
    for truth in ("bins", "published"):
        tested = backtest(rows, estimators, min_train=1e10, truth=truth)
        print(f"held-out points of the full {truth} frontier, training reaching 1e10 GFLOPs")
        show_scores(tested)


def show_scores(tested: Backtest) -> None:
    """A row per estimator and bin of extrapolation."""
    ratios = ("1-2x", "2-4x", "4-8x", "8-16x", ">16x")
    print(f"  {'RMSE / bias in pp':44} " + " ".join(f"{one:>13}" for one in ratios))
    choice = choose(tested)
    scores = [*tested.by_ratio(), *choice.by_ratio()]
    for name in (*tested.estimators, CHOSEN):
        own = [one.score for one in scores if one.estimator == name]
        print(f"  {name:44} " + " ".join(f"{100 * s.rmse:6.2f} {100 * s.bias:+6.2f}" for s in own))
    print(f"  {'points':44} " + " ".join(f"{s.n:13d}" for s in own))
    print(f"  chosen: {dict(choice.chosen)}")
    print(f"  {'coverage of one new run, half-width in pp':44}")
    for name in tested.estimators:
        own = [one.score for one in tested.by_ratio() if one.estimator == name]
        cells = (f"{s.prediction_coverage:.2f} +-{100 * s.prediction_half_width:.1f}" for s in own)
        print(f"  {name:44} " + " ".join(f"{cell:>13}" for cell in cells))
    print("  after calibration: all, and where the fit itself stands by its level")
    for name in tested.estimators[:1]:
        for left_out in LeaveOut:
            own = calibrated_coverage(tested, name, left_out)
            cells = (
                f"{one.after:.2f} {one.after_claimed:.2f} +-{100 * one.half_width:.1f}"
                for one in own
            )
            print(
                f"  {f'{name}, without its {left_out}':44} "
                + " ".join(f"{cell:>15}" for cell in cells)
            )


def main() -> None:
    """Print everything."""
    points = published_points()
    speed(points)
    surface()
    program()
    held_out(points)


if __name__ == "__main__":
    main()
