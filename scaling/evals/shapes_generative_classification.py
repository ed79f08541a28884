"""Classification by captioning: of 100 captions, the likeliest given the picture names its class.

The score of a class is the log-likelihood of its caption, summed over its tokens: not averaged,
which is the same here, where all captions have as many words, and not corrected by how likely the
caption is without a picture. The template is '{c}', as research code of the reference study's
group has it by default. Source: Tschannen et al. 2023 (arXiv:2306.07915).
"""

from typing import TYPE_CHECKING

from scaling.datasets._shapes.held_out import CLASS_NAMES, classified_images
from scaling.evals._likelihoods import caption_scores
from scaling.evals._zero_shot import classification_metrics
from scaling.vocabulary import with_article

if TYPE_CHECKING:
    from torch import nn

    from scaling.families import Ability
    from scaling.families._towers import ModelConfig

_PER_CLASS = 5
"""500 pictures, since each is read with 100 captions: the standard error of `acc1` is at most
2.3 %."""


class ShapesGenerativeClassification:
    """See `scaling.evals.Task`."""

    metrics: tuple[str, ...] = ("acc1", "acc5", "mean_per_class_recall")
    needs: "Ability" = "captions"

    def measure(self, network: "nn.Module", config: "ModelConfig") -> dict[str, float]:
        """See `Task.measure`."""
        images, labels = classified_images(_PER_CLASS, config.image_size)
        captions = [with_article(name) for name in CLASS_NAMES]
        return classification_metrics(caption_scores(network, images, captions, config), labels)


TASK = ShapesGenerativeClassification()
