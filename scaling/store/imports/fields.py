"""The fields of a table of measurements: their names, what may stand in them, what they mean."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from scaling.store.imports.csv_files import name, positive, words
from scaling.units import parse_count

FLOPS_PER_PARAMETER = 2
"""Forward FLOPs per parameter and token, one multiplication and one addition.

Training takes three times that, the 6ND of Kaplan et al. 2020, arXiv:2001.08361.
"""
_LARGEST = 2**63 - 1
"""What a whole number in the store can be."""


def count(text: str) -> int:
    """A positive whole number, or one with K, M, B or T."""
    try:
        found = parse_count(text.lower())
    except ValueError:
        found = 0
    if not 0 < found <= _LARGEST:
        raise ValueError("is not a count such as 12800000, 1.28e7, 12.8M or 1.4T")
    return found


def seed(text: str) -> int:
    """A whole number of 0 or more."""
    if not re.fullmatch(r"[0-9]{1,18}(\.0)?", text):
        raise ValueError("is not a whole number of 0 or more")
    return int(text.removesuffix(".0"))


@dataclass(frozen=True)
class Field:
    """One field: how its text is read, and what it is."""

    parse: Callable[[str], Any]
    meaning: str


NAMES = {
    "family": Field(name, "what is compared: an architecture, a training procedure"),
    "dataset": Field(name, "what was trained on"),
    "schedule": Field(name, "the learning-rate schedule"),
    "task": Field(name, "what was evaluated on"),
    "metric": Field(name, "what was measured there: loss, perplexity, acc"),
}
COSTS: Mapping[str, tuple[str, Callable[[float, int], float]]] = {
    "gflops_per_sample": (
        "forward GFLOPs per sample or token",
        lambda cost, samples_seen: cost,
    ),
    "compute_gflops": (
        "total forward GFLOPs",
        lambda cost, samples_seen: cost / samples_seen,
    ),
    "compute_flops": (
        "total forward FLOPs, divided by 1e9",
        lambda cost, samples_seen: cost / 1e9 / samples_seen,
    ),
    "training_flops": (
        "total training FLOPs (forward and backward), divided by 3e9",
        lambda cost, samples_seen: cost / 3e9 / samples_seen,
    ),
}
"""What each field of compute is, and forward GFLOPs per sample from it and samples seen."""
FROM_PARAMS = (
    "2 x params forward FLOPs per sample or token (6ND for training, of which forward is a third)"
)
FIELDS: Mapping[str, Field] = {
    **NAMES,
    "samples_seen": Field(count, "samples or tokens trained on"),
    "value": Field(words, "the number that was measured"),
    "model": Field(name, "a size of the family; without it params names it"),
    "params": Field(count, "parameters of the model"),
    **{field: Field(positive, meaning) for field, (meaning, _) in COSTS.items()},
    "trial": Field(name, "the training run, if it was measured at several samples seen"),
    "seed": Field(seed, "a number that tells repeated training runs apart"),
    "source": Field(words, "where the number is from"),
}
REQUIRED = (*NAMES, "samples_seen", "value")


def gflops_from_params(params: int) -> float:
    """Forward GFLOPs per sample or token."""
    return FLOPS_PER_PARAMETER * params / 1e9
