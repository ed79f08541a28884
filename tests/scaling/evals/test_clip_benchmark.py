"""The field's numbers: CLIP_benchmark's own functions on the same features give the same."""

from typing import Any

import numpy as np
import pytest
import torch
from clip_benchmark.metrics import zeroshot_classification, zeroshot_retrieval
from torch.utils.data import DataLoader

from scaling.evals._accuracy import classification_metrics, mean_average_precision
from scaling.evals._retrieval import retrieval_metrics
from scaling.evals._subject import NotFiniteError, Subject
from scaling.families import FAMILIES
from scaling.families._tokenizers import tokenize

RNG = np.random.default_rng(0)
EQUAL = {"rel": 0, "abs": 1e-6}


@pytest.fixture(autouse=True)
def _number(monkeypatch: pytest.MonkeyPatch) -> None:
    """CLIP_benchmark 1.6.2 takes `float` of an array of one element; numpy 2.4 refuses that."""

    def number(value: Any) -> float:
        return float(value.item() if isinstance(value, np.ndarray) else value)

    monkeypatch.setattr(zeroshot_classification, "float", number, raising=False)


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


class Given(torch.nn.Module):
    """Images and texts are their features already."""

    def encode_image(self, images: torch.Tensor) -> torch.Tensor:
        return images

    def encode_text(self, texts: torch.Tensor) -> torch.Tensor:
        return texts


class Classified(torch.utils.data.Dataset):
    def __init__(self, images: np.ndarray, labels: np.ndarray, classes: int) -> None:
        self.images, self.labels, self.classes = images, labels, list(range(classes))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        return self.images[row], self.labels[row]


def their_classification(
    images: np.ndarray, labels: np.ndarray, classes: np.ndarray
) -> dict[str, float]:
    """CLIP_benchmark's `evaluate`, class `c` having the text feature `classes[c]`."""
    found: dict[str, float] = zeroshot_classification.evaluate(
        Given(),
        DataLoader(Classified(images, labels, len(classes)), batch_size=64),
        lambda texts: torch.from_numpy(classes[[int(text) for text in texts]]),
        [str(label) for label in range(len(classes))],
        ["{c}"],
        "cpu",
        amp=False,
    )
    return found


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
@pytest.mark.parametrize("count", [5, 37], ids="{} classes".format)
def test_accuracies_are_clip_benchmarks(count: int) -> None:
    classes = unit(RNG.standard_normal((count, 16)))
    # Unbalanced, with a class that no image has.
    labels = np.minimum(RNG.geometric(0.2, size=500) - 1, count - 2)
    images = unit(classes[labels] + 0.4 * RNG.standard_normal((500, 16)))

    found = classification_metrics(images @ classes.T, labels)

    theirs = their_classification(images, labels, classes)
    assert found == pytest.approx(theirs, **EQUAL)
    assert 0.1 < found["acc1"] < 0.99


def test_top_five_of_fewer_classes_is_left_out_where_theirs_is_no_number() -> None:
    classes = unit(RNG.standard_normal((4, 16)))
    labels = RNG.integers(4, size=100)
    images = unit(classes[labels] + RNG.standard_normal((100, 16)))

    found = classification_metrics(images @ classes.T, labels)

    theirs = their_classification(images, labels, classes)
    assert np.isnan(theirs.pop("acc5"))
    assert found == pytest.approx(theirs, **EQUAL)


def test_of_equal_scores_the_first_class_is_the_prediction_as_in_theirs() -> None:
    classes = np.eye(8, dtype=np.float32)
    images = unit(RNG.integers(3, size=(400, 8)) + 1)
    labels = RNG.integers(8, size=400)

    found = classification_metrics(images @ classes.T, labels)

    # Only argmax says which of equal scores it takes; the others' order is undefined.
    theirs = their_classification(images, labels, classes)
    key = "mean_per_class_recall"
    assert found[key] == pytest.approx(theirs[key], **EQUAL)


def test_mean_average_precision_is_clip_benchmarks() -> None:
    classes = unit(RNG.standard_normal((20, 16)))
    labels = (RNG.random((300, 20)) < 0.1).astype(np.int64)
    labels[:, 3] = 0
    images = unit(labels @ classes + 0.5 * RNG.standard_normal((300, 16)))

    found = mean_average_precision(images @ classes.T, labels)

    theirs = their_classification(images, labels, classes)
    assert {"mean_average_precision": found} == pytest.approx(theirs, **EQUAL)
    assert 0.1 < found < 0.9


@pytest.mark.parametrize("k", [1, 5, 10])
def test_retrieval_recalls_are_clip_benchmarks(k: int) -> None:
    images = unit(RNG.standard_normal((90, 12)))
    texts = [
        unit(image + 0.5 * RNG.standard_normal((int(n), 12)))
        for image, n in zip(images, RNG.integers(1, 8, size=90), strict=True)
    ]
    batches = [
        (torch.from_numpy(images[rows]), texts[rows])
        for rows in (slice(start, start + 32) for start in range(0, 90, 32))
    ]

    found = retrieval_metrics(
        images, np.concatenate(texts), np.repeat(np.arange(90), [len(own) for own in texts]), [k]
    )

    theirs = zeroshot_retrieval.evaluate(
        Given(),
        batches,
        lambda rows: torch.from_numpy(np.stack(rows)),
        "cpu",
        amp=False,
        recall_k_list=[k],
    )
    assert found == pytest.approx(theirs, **EQUAL)
    assert all(0.1 < value < 0.99 for value in found.values())


def test_classifiers_are_clip_benchmarks() -> None:
    torch.manual_seed(0)
    network: Any = FAMILIES.get("clip").build("tiny-a").eval()
    config = FAMILIES.get("clip").models["tiny-a"]
    names = ["red circle", "blue star", "green square"]
    templates = ["{c}", "photo of a {c}", "picture of a {c}"]

    found = Subject(network, config).classifier(names, templates)

    theirs = zeroshot_classification.zero_shot_classifier(
        network,
        lambda texts: torch.from_numpy(tokenize(texts, config)),
        names,
        templates,
        "cpu",
        amp=False,
    )
    np.testing.assert_allclose(found, theirs.numpy().T, rtol=0, atol=1e-6)


def test_what_is_no_number_is_no_measurement() -> None:
    network = FAMILIES.get("clip").build("tiny-a").eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(float("nan"))
    config = FAMILIES.get("clip").models["tiny-a"]
    images = np.zeros((1, config.image_size, config.image_size, 3), np.uint8)

    with pytest.raises(NotFiniteError, match="not finite"):
        Subject(network, config).image_features(images)
