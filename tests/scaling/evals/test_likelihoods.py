"""Scores of captions: their definition, computed another way."""

from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from scaling.datasets._shapes.held_out import CLASS_NAMES, classified_images
from scaling.evals._accuracy import classification_metrics
from scaling.evals._declared import Task
from scaling.evals._likelihoods import Captions, LikelihoodOptions
from scaling.evals._subject import Subject
from scaling.evals.generative_classification import GenerativeOptions
from scaling.families import FAMILIES
from scaling.families._tokenizers import tokenize
from scaling.vocabulary import with_article

TEXTS = ["a red circle", "photo of a small blue star above a large green square", "a star"]
SET = {"kind": "shapes", "content": "classes", "count": 100}


@pytest.fixture(params=["mammut", "coca", "cap"])
def subject(request: pytest.FixtureRequest) -> Subject:
    torch.manual_seed(0)
    family = FAMILIES.get(request.param)
    network = family.build("tiny-a").eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim and not parameter.any():
                parameter.normal_(std=0.05)  # Heads that begin at zero find all captions alike.
    return Subject(network, family.models["tiny-a"], family=family)


def images_of(subject: Subject) -> np.ndarray:
    return classified_images(1, subject.config.image_size)[0][:7]


def of_tokens(subject: Subject, inputs: torch.Tensor, text: str) -> np.ndarray:
    """log p of each token of a caption after the first, given an image, from all logits."""
    network: Any = subject.network
    tokens = torch.from_numpy(tokenize([text], subject.config))
    with torch.inference_mode():
        logits = network.caption_logits(inputs, tokens)[0]
    targets = tokens[0, 1:]
    found = logits.log_softmax(-1).gather(1, targets[:, None])[:, 0]
    return found[targets != 0].double().numpy()


def noise(subject: Subject, count: int) -> torch.Tensor:
    size = subject.config.image_size
    return torch.randn((count, 3, size, size), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("length", ["sum", "mean"])
@pytest.mark.parametrize("weight", [0, 0.5, 1])
def test_scores_are_what_they_are_defined_as(subject: Subject, length: str, weight: float) -> None:
    images = images_of(subject)
    options = LikelihoodOptions.model_validate(
        {"length": length, "prior_weight": weight, "prior_pictures": 2}
    )

    found = Captions.of([TEXTS], subject, options).scores(subject, images)

    for row, image in enumerate(images):
        for column, text in enumerate(TEXTS):
            likelihoods = of_tokens(subject, subject.inputs(image[None]), text)
            priors = [of_tokens(subject, one[None], text).sum() for one in noise(subject, 2)]
            score = likelihoods.sum() - weight * np.log(np.mean(np.exp(priors)))
            divisor = len(likelihoods) if length == "mean" else 1
            assert found[row, column] == pytest.approx(score / divisor, abs=1e-4)


def test_captions_of_each_image_are_scored_as_if_all_images_had_them(subject: Subject) -> None:
    images = images_of(subject)
    options = LikelihoodOptions(length="mean", prior_weight=0.7)
    own = [[TEXTS[n % 3], TEXTS[(n + 1) % 3]] for n in range(len(images))]

    found = Captions.of(own, subject, options).scores(subject, images)

    shared = Captions.of([TEXTS], subject, options).scores(subject, images)
    for row in range(len(images)):
        expected = shared[row, [row % 3, (row + 1) % 3]]
        np.testing.assert_allclose(found[row], expected, rtol=1e-5)


def test_a_class_has_the_mean_score_of_its_templates(subject: Subject) -> None:
    templates = ["{c}", "photo of {c}", "picture of {c}"]
    task = Task.parse(
        "mine", {"kind": "generative_classification", "set": SET, "templates": templates}
    )

    found = task.of_kind.measure(task.choices(), subject)

    images, labels = classified_images(1, subject.config.image_size)
    scores = [
        Captions.of(
            [[template.replace("{c}", with_article(name)) for name in CLASS_NAMES]],
            subject,
            LikelihoodOptions(),
        ).scores(subject, images)
        for template in templates
    ]
    expected = classification_metrics(np.mean(scores, axis=0), labels)
    assert found == pytest.approx(expected, abs=0.011)


@pytest.mark.parametrize(
    "options",
    [{"templates": []}, {"templates": ["a picture"]}, {"prior_weight": 2}, {"length": "median"}],
)
def test_what_is_no_definition_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        GenerativeOptions.model_validate({"set": SET, **options})
