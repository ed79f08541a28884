"""MaMMUT: one text decoder, used for contrast and for captions (arXiv:2303.16839)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from scaling.families import Profile
from scaling.families._flops import mammut_profile
from scaling.families._towers import MAMMUT, ModelConfig

if TYPE_CHECKING:
    from torch import Tensor, nn

    from scaling.trial import Recipe


class MammutFamily:
    """The reference study's variant of MaMMUT. See `scaling.families.Family`."""

    models: Mapping[str, ModelConfig] = MAMMUT

    def profile(self, model: str) -> Profile:
        """See `Family.profile`."""
        return mammut_profile(self.models[model])

    def build(self, model: str) -> "nn.Module":
        """See `Family.build`."""
        from scaling.families.mammut.network import Mammut

        return Mammut(self.models[model])

    def losses(
        self, network: "nn.Module", images: "Tensor", tokens: "Tensor", recipe: "Recipe"
    ) -> "Mapping[str, Tensor]":
        """The contrastive loss and the weighted captioning loss. See `Family.losses`."""
        from scaling.families._contrastive import contrastive_loss
        from scaling.families.mammut.network import caption_loss

        outputs = network(images, tokens)
        caption = caption_loss(outputs["caption_logits"], tokens[:, 1:])
        return {
            "contrastive": contrastive_loss(outputs),
            "caption": recipe.caption_loss_weight * caption,
        }


FAMILY = MammutFamily()
