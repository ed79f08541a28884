"""Simulated cells whose law is known, and the published ones."""

import numpy as np
import pandas as pd

from fitting.surfaces import Cells

CHINCHILLA = {"E": 1.8172, "A": 482.01, "B": 2085.43, "alpha": 0.3478, "beta": 0.3658}
SATURATING = {"E": 0.11, "e0": 0.99, "Gh": 5.5, "p": 0.7, "D0": 3e7, "b": 0.67}


def language_models(seed: int = 0, *, noise: float = 0.003, tails: float = 2.0) -> Cells:
    """240 runs as in Hoffmann et al., from the parameters of the replication, arXiv:2404.10102."""
    rng = np.random.default_rng(seed)
    params = np.exp(rng.uniform(np.log(5e7), np.log(1.6e10), 240))
    tokens = np.exp(rng.uniform(np.log(6e18), np.log(3e21), 240)) / (6 * params)
    truth = CHINCHILLA
    loss = (
        truth["E"] + truth["A"] / params ** truth["alpha"] + truth["B"] / tokens ** truth["beta"]
    )
    return Cells.of(params, tokens, loss * np.exp(noise * rng.standard_t(tails, 240)))


def grid(seed: int = 0, *, noise: float = 0.0, sizes: int = 10, lengths: int = 11) -> Cells:
    """A grid of models and lengths whose error follows the saturating surface."""
    size, samples = (
        axis.ravel()
        for axis in np.meshgrid(
            np.geomspace(5, 400, sizes), np.geomspace(1.3e6, 3e9, lengths), indexing="ij"
        )
    )
    true = SATURATING
    small = 1 / (1 + (size / true["Gh"]) ** true["p"])
    short = (1 + samples / true["D0"]) ** -true["b"]
    error = true["E"] + (true["e0"] - true["E"]) * (1 - (1 - small) * (1 - short))
    return Cells.of(
        size, samples, error + noise * np.random.default_rng(seed).standard_normal(len(error))
    )


def published_cells(figure_1: pd.DataFrame, family: str, max_compute: float = np.inf) -> Cells:
    return Cells.from_points(figure_1[figure_1["family"] == family]).up_to(max_compute)
