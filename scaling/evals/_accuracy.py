"""Classification's metrics as CLIP_benchmark has them."""

import numpy as np
from numpy.typing import NDArray

from scaling.evals._ranks import rank_of

Scores = NDArray[np.float32]
Labels = NDArray[np.int64]

ACCURACIES = ("acc1", "acc5", "mean_per_class_recall")


def classification_metrics(scores: Scores, labels: Labels) -> dict[str, float]:
    """`ACCURACIES` of scores (images, classes)."""
    rank = rank_of(labels, scores)
    recalls = [float(np.mean(rank[labels == label] == 0)) for label in np.unique(labels)]
    return {
        "acc1": float(np.mean(rank == 0)),
        "acc5": float(np.mean(rank < 5)),
        "mean_per_class_recall": float(np.mean(recalls)),
    }
