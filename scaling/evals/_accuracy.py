"""Classification's metrics as CLIP_benchmark has them."""

import numpy as np
from numpy.typing import NDArray

from scaling.evals._ranks import rank_of

Scores = NDArray[np.float32]
Labels = NDArray[np.int64]

ACCURACIES = ("acc1", "acc5", "mean_per_class_recall")
MEAN_AVERAGE_PRECISION = "mean_average_precision"


def classification_metrics(scores: Scores, labels: Labels) -> dict[str, float]:
    """`ACCURACIES` of scores (images, classes); `acc5` is left out where classes are fewer."""
    rank = rank_of(labels, scores)
    recalls = [float(np.mean(rank[labels == label] == 0)) for label in np.unique(labels)]
    found = {
        "acc1": float(np.mean(rank == 0)),
        "acc5": float(np.mean(rank < 5)),
        "mean_per_class_recall": float(np.mean(recalls)),
    }
    if scores.shape[1] < 5:
        del found["acc5"]
    return found


def mean_average_precision(scores: Scores, labels: Labels) -> float:
    """The mean over classes of the mean precision at each true image, by descending score.

    `labels` (images, classes) of 0 and 1. A class that no image shows counts as 0, and equal
    scores go by index. Source: CLIP_benchmark's `average_precision_per_class`, after torchnet.
    """
    order = np.argsort(-scores, axis=0, kind="stable")
    is_true = np.take_along_axis(labels, order, axis=0)
    precision = np.cumsum(is_true, axis=0) / np.arange(1, len(scores) + 1)[:, None]
    average = (precision * is_true).sum(axis=0) / np.maximum(is_true.sum(axis=0), 1)
    return float(average.mean())
