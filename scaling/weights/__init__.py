"""Weights in other programs' files: read into this project's networks, and written for them.

Importing this package does not import torch; calling its functions does.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from scaling.weights.failures import WeightsError

if TYPE_CHECKING:
    from torch import nn

    from scaling.trial import Recipe

__all__ = ["WeightsError", "load_network"]


def load_network(
    path: Path, family: str, model: str, recipe: "Recipe | None" = None
) -> "nn.Module":
    """See `scaling.weights.loading.load_network`."""
    from scaling.weights.loading import load_network as load_here

    return load_here(path, family, model, recipe)
