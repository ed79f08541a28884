"""Points to fit: the published measurements, and grids simulated from a known law."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

PUBLISHED = Path(__file__).parents[2] / "experiments" / "published"


@pytest.fixture(scope="session")
def published() -> pd.DataFrame:
    """The published measurements as the table that `analyse` takes."""
    measurements = pd.read_csv(PUBLISHED / "measurements.csv")
    profile = pd.read_csv(PUBLISHED / "model_profile.csv")
    cost = profile[["family", "model", "forward_gflops_per_sample"]]
    points = measurements.merge(cost, on=["family", "model"])
    points["compute_gflops"] = points["forward_gflops_per_sample"] * points["samples_seen"]
    points["error"] = 1 - points["value"]
    return points.assign(study="published")


@pytest.fixture(scope="session")
def figure_1(published: pd.DataFrame) -> pd.DataFrame:
    """The points of the study's headline figure, both families."""
    return published[
        (published["dataset"] == "datacomp_1b")
        & (published["schedule"] == "cosine")
        & (published["task"] == "imagenet1k")
        & published["family"].isin(["clip", "mammut"])
    ]


@pytest.fixture(scope="session")
def simulate() -> Callable[..., pd.DataFrame]:
    """A grid of models and lengths of one family whose frontier follows a known law.

    A cell off its best length for its compute is worse by a parabola in log samples seen.
    """

    def simulate_grid(
        family: str = "clip",
        *,
        law: tuple[float, float, float, float] = (80.0, 18.7, 0.24, 0.10),
        sizes: int = 8,
        lengths: int = 9,
        noise: float = 0.004,
        seed: int = 0,
    ) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        gflops_per_sample = np.geomspace(6, 250, sizes)
        samples_seen = np.geomspace(1.28e6, 3.07e9, lengths).astype(int)
        model, length = (place.ravel() for place in np.indices((sizes, lengths)))
        compute = gflops_per_sample[model] * samples_seen[length]
        a, ln_b, alpha, floor = law
        best = a * (compute + np.exp(ln_b)) ** -alpha + floor
        off = np.log(samples_seen[length] / (16.9 * compute**0.741))
        error = best + (1 - best) * np.minimum(0.01 * off**2, 0.9)
        return pd.DataFrame(
            {
                "study": "simulated",
                "dataset": "shapes",
                "schedule": "cosine",
                "task": "shapes_classification",
                "metric": "acc1",
                "family": family,
                "model": [f"size-{i}" for i in model],
                "samples_seen": samples_seen[length],
                "compute_gflops": compute,
                "error": np.clip(error + noise * rng.standard_normal(len(error)), 0, 1),
            }
        )

    return simulate_grid
