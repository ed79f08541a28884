"""Which of the known models given weights are of."""

import math
from collections.abc import Iterator
from fractions import Fraction

import torch

from scaling.families import FAMILIES
from scaling.weights.files import Weights
from scaling.weights.names import called_as

_COMPARED = 16
"""Models compared name by name: those whose number of parameters is nearest."""


def nearest_models(weights: Weights, asked: str) -> str:
    """A sentence about the models that have most of `weights`' names and shapes.

    Numbers of parameters, known in closed form, leave few models to be compared by name and shape.
    """
    shares = {
        owner: _share(weights, family, model) for owner, family, model in _nearest_in_size(weights)
    }
    best = max(shares.values(), default=Fraction(0))
    owners = [owner for owner, share in shares.items() if share == best]
    if best < Fraction(1, 2):
        return "no model of ours has names and shapes like these"
    agreement = f"{math.floor(100 * best)} % of names and shapes agree"
    if asked in owners:
        return f"no other model is nearer: {agreement}"
    if best == 1:
        return f"they fit {' and '.join(owners)}"
    return f"nearest is {' and '.join(owners)}, where {agreement}"


def _nearest_in_size(weights: Weights) -> list[tuple[str, str, str]]:
    params = sum(tensor.numel() for tensor in weights.values()) or 1

    def distance(entry: tuple[str, str, str]) -> float:
        _, family, model = entry
        return abs(math.log(FAMILIES.get(family).profile(model).params / params))

    return sorted(_all_models(), key=distance)[:_COMPARED]


def _all_models() -> Iterator[tuple[str, str, str]]:
    for family in FAMILIES.names():
        for model in FAMILIES.get(family).models:
            yield f"{family} {model}", family, model


def _share(weights: Weights, family: str, model: str) -> Fraction:
    """Of all names in `weights` or in the model, those in both with one shape."""
    with torch.device("meta"):
        wanted = FAMILIES.get(family).build(model).state_dict()
    found = called_as(weights, wanted)
    agreeing = sum(
        tensor.numel() == wanted[name].numel() == 1 or tensor.shape == wanted[name].shape
        for name, tensor in found.items()
        if name in wanted
    )
    return Fraction(agreeing, len(found.keys() | wanted.keys()))
