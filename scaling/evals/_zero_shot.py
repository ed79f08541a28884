"""Zero-shot classification as CLIP_benchmark does it: classifier from prompts, three metrics."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from scaling.evals._features import Features, text_features
from scaling.evals._ranks import rank_of

if TYPE_CHECKING:
    from torch import nn

    from scaling.families._towers import ModelConfig

Scores = NDArray[np.float32]
Labels = NDArray[np.int64]


def classifier(
    network: "nn.Module",
    config: "ModelConfig",
    class_names: Sequence[str],
    templates: Sequence[str],
) -> Features:
    """One unit vector a class (classes, D): the mean of its prompts' features, normalised.

    A template holds `{c}` where the class name goes.
    """
    prompts = [template.replace("{c}", name) for name in class_names for template in templates]
    features = text_features(network, prompts, config)
    means = features.reshape(len(class_names), len(templates), -1).mean(axis=1)
    unit: Features = means / np.linalg.norm(means, axis=1, keepdims=True)
    return unit


def classification_metrics(scores: Scores, labels: Labels) -> dict[str, float]:
    """`acc1`, `acc5` and `mean_per_class_recall` of scores (images, classes)."""
    rank = rank_of(labels, scores)
    recalls = [float(np.mean(rank[labels == label] == 0)) for label in np.unique(labels)]
    return {
        "acc1": float(np.mean(rank == 0)),
        "acc5": float(np.mean(rank < 5)),
        "mean_per_class_recall": float(np.mean(recalls)),
    }
