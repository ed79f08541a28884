"""What each pixel is, and what it is taken for, counted exactly."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scaling.evaluation_sets import IGNORED

SCORES = ("mean_iou", "pixel_accuracy", "mean_accuracy")

Classes = NDArray[np.integer[Any]]


class Confusion:
    """Pixels by true class (row) and predicted class (column), in whole numbers."""

    def __init__(self, classes: int) -> None:
        """Nothing is counted yet."""
        self.counts = np.zeros((classes, classes), np.int64)

    def add(self, truth: Classes, predicted: Classes) -> None:
        """Count the pixels of equal shapes `truth` and `predicted`; those `IGNORED` are not."""
        classes = len(self.counts)
        is_known = truth != IGNORED
        pairs = truth[is_known].astype(np.int64) * classes + predicted[is_known]
        self.counts += np.bincount(pairs, minlength=classes**2).reshape(classes, classes)

    def scores(self) -> dict[str, float]:
        """`SCORES` of at least one pixel.

        `mean_iou` is the mean of the classes' Jaccard indices: intersection over union of the
        pixels that are of the class and those taken for it. A class that is in neither has none
        and is left out; one that is in the predictions alone has 0. `mean_accuracy` is the mean
        recall of the classes that are there. Source: Long et al. 2015 (arXiv:1411.4038),
        section 5; absent classes as in torchmetrics' macro average and in mmsegmentation.
        """
        right = self.counts.diagonal()
        truth, predicted = self.counts.sum(axis=1), self.counts.sum(axis=0)
        union = truth + predicted - right
        return {
            "mean_iou": float(np.mean(right[union > 0] / union[union > 0])),
            "pixel_accuracy": float(right.sum() / truth.sum()),
            "mean_accuracy": float(np.mean(right[truth > 0] / truth[truth > 0])),
        }
