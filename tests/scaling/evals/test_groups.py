"""Metrics by group and by class, against slow ones that follow WILDS' definitions word by word."""

import numpy as np
import pytest
from numpy.typing import NDArray

from scaling.errors import OptionsError
from scaling.evals._declared import Task
from scaling.evals._groups import WorstGroup, f1_macro, worst_group_accuracies

CLASSES = 7


@pytest.fixture(params=range(3))
def scored(request: pytest.FixtureRequest) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Scores and labels; no picture is of the last class, which is predicted all the same."""
    rng = np.random.default_rng(request.param)
    scores = rng.standard_normal((200, CLASSES)).astype(np.float32)
    labels = rng.integers(CLASSES - 1, size=200)
    scores[np.arange(200), labels] += 0.7
    return scores, labels


def slow_f1(scores: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    predicted = [max(range(CLASSES), key=lambda c, row=row: (row[c], -c)) for row in scores]
    found = []
    for label in sorted(set(labels.tolist())):
        pairs = [
            (guess == label, true == label) for guess, true in zip(predicted, labels, strict=True)
        ]
        hits = sum(guess and true for guess, true in pairs)
        precision = hits / max(1, sum(guess for guess, _ in pairs))
        recall = hits / sum(true for _, true in pairs)
        found.append(2 * precision * recall / (precision + recall) if hits else 0.0)
    return sum(found) / len(found)


def slow_worst(
    scores: NDArray[np.float32], labels: NDArray[np.int64], groups: NDArray[np.int64], top: int
) -> float:
    found: dict[int, list[bool]] = {}
    for row, label, group in zip(scores, labels, groups, strict=True):
        first = sorted(range(CLASSES), key=lambda c, row=row: (-row[c], c))[:top]
        found.setdefault(int(group), []).append(label in first)
    return min(sum(hits) / len(hits) for hits in found.values())


def test_f1_is_wilds(scored: tuple[NDArray[np.float32], NDArray[np.int64]]) -> None:
    assert f1_macro(*scored) == pytest.approx(slow_f1(*scored), abs=1e-12)


def test_worst_groups_are_wilds(scored: tuple[NDArray[np.float32], NDArray[np.int64]]) -> None:
    scores, labels = scored
    # Group 2 is empty, and group 9 has one picture.
    groups = np.array([0, 1, 3])[np.random.default_rng(9).integers(3, size=200)]
    groups[17] = 9
    asked = {"acc_wg": WorstGroup(by="region"), "acc_top5_wg": WorstGroup(of="acc5", by="region")}

    found = worst_group_accuracies(asked, scores, labels, {"region": groups})

    assert found == {
        "acc_wg": slow_worst(scores, labels, groups, 1),
        "acc_top5_wg": slow_worst(scores, labels, groups, 5),
    }


def test_groups_are_left_out(scored: tuple[NDArray[np.float32], NDArray[np.int64]]) -> None:
    scores, labels = scored
    groups = np.arange(200) % 4
    asked = {
        "some": WorstGroup(by="region", leave_out=(1, 3, 8)),
        "none": WorstGroup(by="region", leave_out=(0, 1, 2, 3)),
    }

    found = worst_group_accuracies(asked, scores, labels, {"region": groups})

    kept = (groups == 0) | (groups == 2)
    assert found == {"some": slow_worst(scores[kept], labels[kept], groups[kept], 1)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"worst_groups": {"acc_wg": {"by": "regoin"}}}, "did you mean 'region'"),
        ({"worst_groups": {"acc1": {"by": "region"}}}, "acc1 is the name of another metric"),
        ({"more_metrics": ["F1"]}, "F1-macro_all"),
    ],
)
def test_what_a_task_cannot_measure_is_an_error(options: dict[str, object], message: str) -> None:
    pictures = {"kind": "webdataset", "folder": "wds_x_test", "metadata": {"region": 0}}

    with pytest.raises(OptionsError, match=message):
        Task.parse("mine", {"kind": "zeroshot_classification", "set": pictures, **options})
