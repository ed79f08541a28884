"""Classification's metrics by group and by class, as WILDS and DataComp have them.

Source: Koh et al. 2021 (WILDS, arXiv:2012.07421), its `Accuracy.compute_group_wise` and `F1`;
DataComp (arXiv:2304.14108), its evaluation of WILDS' sets, Dollar Street and GeoDE.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from scaling.datasets import Options
from scaling.evals._accuracy import Labels, Scores
from scaling.evals._ranks import rank_of

F1_MACRO = "F1-macro_all"
_TOP = {"acc1": 1, "acc5": 5}


class WorstGroup(Options):
    """The lowest of the accuracies within groups; a group without pictures does not count."""

    of: Literal["acc1", "acc5"] = "acc1"
    by: str
    """What tells groups apart: a name in `metadata` of the set."""
    leave_out: tuple[int, ...] = ()
    """Groups that do not count either."""


def worst_group_accuracies(
    worst_groups: Mapping[str, WorstGroup],
    scores: Scores,
    labels: Labels,
    metadata: Mapping[str, Labels],
) -> dict[str, float]:
    """The metrics that `worst_groups` name, of scores (images, classes).

    One whose groups are all left out is left out, as is `acc5` where classes are fewer.
    """
    found = {}
    rank = rank_of(labels, scores)
    for name, worst in worst_groups.items():
        groups = metadata[worst.by]
        counted = [group for group in np.unique(groups) if group not in worst.leave_out]
        if counted and scores.shape[1] >= _TOP[worst.of]:
            is_hit = rank < _TOP[worst.of]
            found[name] = min(float(np.mean(is_hit[groups == group])) for group in counted)
    return found


def f1_macro(scores: Scores, labels: Labels) -> float:
    """The mean F1 of the classes that pictures are of; others count as wrong predictions only."""
    count = scores.shape[1]
    predicted = scores.argmax(axis=1)
    hits = _counts(labels[predicted == labels], count)
    truths, guesses = _counts(labels, count), _counts(predicted, count)
    is_there = truths > 0
    return float(np.mean(2 * hits[is_there] / (truths + guesses)[is_there]))


def _counts(classes: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    return np.bincount(classes, minlength=count)
