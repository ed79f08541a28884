import numpy as np
import pytest
import torch

from scaling.datasets._shapes.held_out import CLASS_NAMES, captioned_images, classified_images
from scaling.evals import MAIN_METRICS, is_loss
from scaling.evals._catalogue import CATALOGUE
from scaling.evals._declared import Task
from scaling.evals._subject import Subject
from scaling.families import FAMILIES

CONFIG = FAMILIES.get("clip").models["tiny-a"]


EMBEDDED = [name for name in CATALOGUE if name.startswith("shapes_")]


def measured(task: Task, network: torch.nn.Module, family: str = "clip") -> dict[str, float]:
    subject = Subject(network, CONFIG, family=FAMILIES.get(family))
    return dict(task.of_kind.measure(task.choices(), subject))


@pytest.fixture(params=EMBEDDED)
def task(request: pytest.FixtureRequest) -> Task:
    return CATALOGUE[request.param]


@pytest.mark.parametrize("family", FAMILIES.names())
def test_every_task_measures_every_family_that_is_able(task: Task, family: str) -> None:
    if task.of_kind.needs not in {None, *FAMILIES.get(family).abilities}:
        pytest.skip(f"{family} has no {task.of_kind.needs}")
    torch.manual_seed(0)
    network = FAMILIES.get(family).build("tiny-a").eval()

    values = measured(task, network, family)

    assert set(values) <= set(task.metrics)
    assert set(values) == set(task.metrics) or task.kind == "losses"
    assert all(isinstance(value, float) for value in values.values())
    assert all(0 <= value <= 1 or is_loss(metric) for metric, value in values.items())
    assert measured(task, network, family) == values


def test_every_task_has_a_main_metric(task: Task) -> None:
    assert MAIN_METRICS & set(task.metrics) or is_loss(task.main_metric)


class Knowing(torch.nn.Module):
    """Recognises pictures by their bytes and captions by their tokens: the best that can be."""

    def __init__(self, images: dict[bytes, int], captions: dict[bytes, int], width: int) -> None:
        super().__init__()
        self.unused = torch.nn.Parameter(torch.zeros(()))
        self.images, self.captions, self.width = images, captions, width

    def encode_image(self, images: torch.Tensor) -> torch.Tensor:
        return self._one_hot(self.images, images)

    def encode_text(self, tokens: torch.Tensor) -> torch.Tensor:
        return self._one_hot(self.captions, tokens)

    def _one_hot(self, known: dict[bytes, int], inputs: torch.Tensor) -> torch.Tensor:
        features = torch.zeros(len(inputs), self.width)
        for row, content in zip(features, inputs, strict=True):
            row[known[content.numpy().tobytes()]] = 1
        return features


def inputs_of(images: np.ndarray, captions: list[str]) -> tuple[list[bytes], list[bytes]]:
    recorded: list[list[bytes]] = [[], []]

    class Recording(Knowing):
        def _one_hot(self, known: dict[bytes, int], inputs: torch.Tensor) -> torch.Tensor:
            recorded[known["which"]].extend(content.numpy().tobytes() for content in inputs)
            return torch.zeros(len(inputs), 1)

    network = Recording({"which": 0}, {"which": 1}, 1)
    subject = Subject(network, CONFIG)
    subject.image_features(images)
    if captions:
        subject.text_features(captions)
    return recorded[0], recorded[1]


def test_a_network_that_knows_everything_classifies_everything() -> None:
    images, labels = classified_images(20, CONFIG.image_size)
    prompts = [
        f"{opening}{'an' if name[0] == 'o' else 'a'} {name}"
        for name in CLASS_NAMES
        for opening in ("", "photo of ", "picture of ")
    ]
    image_bytes, prompt_bytes = inputs_of(images, prompts)
    network = Knowing(
        dict(zip(image_bytes, labels.tolist(), strict=True)),
        dict(zip(prompt_bytes, np.repeat(range(100), 3).tolist(), strict=True)),
        width=100,
    )

    values = measured(CATALOGUE["shapes_classification"], network)

    assert set(values.values()) == {1.0}


def test_a_network_that_knows_everything_retrieves_as_well_as_captions_allow() -> None:
    images, captions, owner = captioned_images(500, 5, CONFIG.image_size)
    image_bytes, caption_bytes = inputs_of(images, captions)
    network = Knowing(
        dict(zip(image_bytes, range(500), strict=True)),
        dict(zip(caption_bytes, owner.tolist(), strict=True)),
        width=500,
    )

    values = measured(CATALOGUE["shapes_retrieval"], network)

    # Captions that several pictures share belong to one of them here.
    assert values["image_retrieval_recall@5"] > 0.7
    assert values["text_retrieval_recall@5"] > 0.9


def test_a_classifier_is_the_normalised_mean_of_its_prompts() -> None:
    torch.manual_seed(0)
    network = FAMILIES.get("clip").build("tiny-a").eval()
    names, templates = ["a red circle", "a blue star"], ["{c}", "photo of {c}"]

    found = Subject(network, CONFIG).classifier(names, templates)

    for row, name in zip(found, names, strict=True):
        features = Subject(network, CONFIG).text_features([name, f"photo of {name}"])
        mean = features.mean(axis=0)
        np.testing.assert_allclose(row, mean / np.linalg.norm(mean), rtol=1e-5)


def test_features_of_many_images_do_not_depend_on_batches() -> None:
    torch.manual_seed(0)
    network = FAMILIES.get("mammut").build("tiny-b").eval()
    images, _ = classified_images(20, CONFIG.image_size)

    subject = Subject(network, CONFIG)

    whole = subject.image_features(images[:600])

    np.testing.assert_allclose(subject.image_features(images[590:600]), whole[590:], atol=1e-6)


class Describing(torch.nn.Module):
    """Finds the true caption of each picture likelier than any other, and it alone."""

    def __init__(self, label_of: dict[bytes, int]) -> None:
        super().__init__()
        self.unused = torch.nn.Parameter(torch.zeros(()))
        self.label_of = label_of

    def caption_log_likelihood(self, images: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        each = len(tokens) // len(images)
        labels = [self.label_of[image.numpy().tobytes()] for image in images]
        assert all(torch.equal(tokens[:each], part) for part in tokens.split(each))
        found = torch.full((len(images), each), -9.0)
        found[torch.arange(len(images)), labels] = -1.0
        return found.flatten()


def test_a_network_that_describes_everything_classifies_everything() -> None:
    images, labels = classified_images(5, CONFIG.image_size)
    image_bytes, _ = inputs_of(images, [])
    network = Describing(dict(zip(image_bytes, labels.tolist(), strict=True)))

    values = measured(CATALOGUE["shapes_generative_classification"], network)

    assert set(values.values()) == {1.0}
