"""Learning-rate factors: pure functions of samples seen, the same whoever resumes where.

A factor multiplies the recipe's learning rate. It is evaluated at the number of samples seen
before the step that it is used for, so the first step of a warm-up has factor > 0 only because
warm-up counts the batch that is about to be seen (as in open_clip's `warmup_lr`).
"""

import math
from collections.abc import Callable, Mapping


def warmup_factor(samples_seen: int, warmup_samples: int, batch_size: int) -> float:
    """Linear from one batch's share to 1 over `warmup_samples`; 1 afterwards."""
    if samples_seen >= warmup_samples:
        return 1.0
    return min(1.0, (samples_seen + batch_size) / warmup_samples)


def cosine_factor(samples_seen: int, start: int, end: int) -> float:
    """Half a cosine from 1 at `start` to 0 at `end`."""
    progress = min(1.0, max(0.0, (samples_seen - start) / (end - start)))
    return 0.5 * (1.0 + math.cos(math.pi * progress))


def linear_factor(samples_seen: int, start: int, end: int) -> float:
    """Straight from 1 at `start` to 0 at `end`."""
    return 1.0 - min(1.0, max(0.0, (samples_seen - start) / (end - start)))


def sqrt_factor(samples_seen: int, start: int, end: int) -> float:
    """1 - sqrt(progress) from 1 at `start` to 0 at `end`.

    Source: Hägele et al. 2024, arXiv:2405.18392, section 3.
    """
    return 1.0 - math.sqrt(min(1.0, max(0.0, (samples_seen - start) / (end - start))))


COOLDOWN_SHAPES: Mapping[str, Callable[[int, int, int], float]] = {
    "linear": linear_factor,
    "1-sqrt": sqrt_factor,
    "cosine": cosine_factor,
}
"""How the learning rate falls in a cooldown, by the name that grids use."""
