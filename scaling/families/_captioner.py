"""The losses of families that contrast and caption at once."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from scaling.families import World
from scaling.families._tokenizers import PAD_ID

if TYPE_CHECKING:
    from torch import Tensor

    from scaling.trial import Recipe


class ContrastiveCaptioner:
    """What CoCa and MaMMUT share. See `scaling.families.Family`."""

    def batch_losses(
        self, features: "Mapping[str, Tensor]", scalars: "Mapping[str, Tensor]", world: World
    ) -> "Mapping[str, Tensor]":
        """The contrastive loss. See `Family.batch_losses`."""
        from scaling.families._contrastive import contrastive_loss

        return {"contrastive": contrastive_loss(features, scalars, world)}

    def counts(self, tokens: "Tensor") -> "Mapping[str, Tensor]":
        """Caption tokens that are not padding. See `Family.counts`."""
        return {"caption": (tokens[:, 1:] != PAD_ID).sum()}

    def weights(self, recipe: "Recipe") -> Mapping[str, float]:
        """See `Family.weights`."""
        return {"contrastive": 1.0, "caption": recipe.caption_loss_weight}
