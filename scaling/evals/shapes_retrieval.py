"""Retrieval among held-out pictures of the embedded dataset, five true captions each."""

from typing import TYPE_CHECKING

from scaling.datasets._shapes.held_out import captioned_images
from scaling.evals._features import image_features, text_features
from scaling.evals._retrieval import retrieval_metrics

if TYPE_CHECKING:
    from torch import nn

    from scaling.families import Ability
    from scaling.families._towers import ModelConfig

_IMAGES = 500
_CAPTIONS_EACH = 5


class ShapesRetrieval:
    """See `scaling.evals.Task`."""

    metrics: tuple[str, ...] = ("image_retrieval_recall@5", "text_retrieval_recall@5")
    needs: "Ability" = "features"

    def measure(self, network: "nn.Module", config: "ModelConfig") -> dict[str, float]:
        """See `Task.measure`."""
        images, captions, image_of_caption = captioned_images(
            _IMAGES, _CAPTIONS_EACH, config.image_size
        )
        return retrieval_metrics(
            image_features(network, images),
            text_features(network, captions, config),
            image_of_caption,
        )


TASK = ShapesRetrieval()
