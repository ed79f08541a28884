"""Metrics against slow, independent implementations of CLIP_benchmark's definitions."""

import numpy as np
import pytest

from scaling.evals._accuracy import classification_metrics
from scaling.evals._ranks import rank_of
from scaling.evals._retrieval import retrieval_metrics

RNG = np.random.default_rng(0)


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def top_indices(scores: np.ndarray, k: int) -> list[int]:
    return sorted(range(len(scores)), key=lambda index: (-scores[index], index))[:k]


@pytest.mark.parametrize("decimals", [8, 1], ids=["distinct scores", "many ties"])
def test_accuracies_are_those_of_a_plain_loop(decimals: int) -> None:
    scores = RNG.standard_normal((300, 12)).round(decimals).astype(np.float32)
    labels = RNG.integers(12, size=300)

    found = classification_metrics(scores, labels)

    tops = [top_indices(row, 5) for row in scores]
    hits = np.array([top[0] == label for top, label in zip(tops, labels, strict=True)])
    assert found["acc1"] == pytest.approx(hits.mean())
    assert found["acc5"] == pytest.approx(
        np.mean([label in top for top, label in zip(tops, labels, strict=True)])
    )
    assert found["mean_per_class_recall"] == pytest.approx(
        np.mean([hits[labels == label].mean() for label in set(labels.tolist())])
    )


def test_recall_of_unbalanced_classes_weighs_classes_equally() -> None:
    scores = np.eye(2, dtype=np.float32)[[0] * 99]
    labels = np.array([0] * 90 + [1] * 9)

    found = classification_metrics(scores, labels)

    assert found["acc1"] == pytest.approx(90 / 99)
    assert found["mean_per_class_recall"] == pytest.approx(0.5)


def test_a_network_that_says_the_same_of_everything_gets_chance_level() -> None:
    labels = np.repeat(np.arange(100), 20)

    found = classification_metrics(np.zeros((2000, 100), dtype=np.float32), labels)

    assert found["acc1"] == pytest.approx(0.01)
    assert found["acc5"] == pytest.approx(0.05)


@pytest.mark.parametrize("decimals", [8, 1], ids=["distinct scores", "many ties"])
@pytest.mark.parametrize("k", [1, 5])
def test_retrieval_recalls_are_those_of_a_plain_loop(decimals: int, k: int) -> None:
    images = unit(RNG.standard_normal((40, 6))).round(decimals)
    owner = np.concatenate([np.arange(40), RNG.integers(40, size=70)])
    RNG.shuffle(owner)
    captions = unit(images[owner] + RNG.standard_normal((110, 6)).astype(np.float32))
    captions = captions.round(decimals)

    found = retrieval_metrics(images, captions, owner, [k])

    scores = captions @ images.T
    image_found = [owner[t] in top_indices(scores[t], k) for t in range(110)]
    caption_found = [any(owner[t] == i for t in top_indices(scores[:, i], k)) for i in range(40)]
    assert found[f"image_retrieval_recall@{k}"] == pytest.approx(np.mean(image_found))
    assert found[f"text_retrieval_recall@{k}"] == pytest.approx(np.mean(caption_found))


def test_rank_counts_what_comes_before() -> None:
    scores = np.array([[3, 1, 2], [1, 1, 1], [0, 5, 5]], dtype=np.float32)

    assert rank_of(np.array([2, 1, 2]), scores).tolist() == [1, 1, 1]
