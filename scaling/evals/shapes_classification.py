"""Zero-shot classification of 100 classes, shape x colour, on held-out pictures of one object."""

from typing import TYPE_CHECKING

from scaling.datasets._shapes.held_out import CLASS_NAMES, classified_images
from scaling.evals._features import image_features
from scaling.evals._zero_shot import classification_metrics, classifier
from scaling.vocabulary import with_article

if TYPE_CHECKING:
    from torch import nn

    from scaling.families import Ability
    from scaling.families._towers import ModelConfig

_PER_CLASS = 20
"""2,000 pictures: the standard error of `acc1` is at most 1.12 %."""

TEMPLATES = ("{c}", "photo of {c}", "picture of {c}")


class ShapesClassification:
    """See `scaling.evals.Task`."""

    metrics: tuple[str, ...] = ("acc1", "acc5", "mean_per_class_recall")
    needs: "Ability" = "features"

    def measure(self, network: "nn.Module", config: "ModelConfig") -> dict[str, float]:
        """See `Task.measure`."""
        images, labels = classified_images(_PER_CLASS, config.image_size)
        names = [with_article(name) for name in CLASS_NAMES]
        classes = classifier(network, config, names, TEMPLATES)
        return classification_metrics(image_features(network, images) @ classes.T, labels)


TASK = ShapesClassification()
