"""CLIP: two towers and a symmetric contrastive loss (Radford et al. 2021, arXiv:2103.00020)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from scaling.families import Profile
from scaling.families._flops import clip_profile
from scaling.families._towers import CLIP, ModelConfig

if TYPE_CHECKING:
    from torch import Tensor, nn

    from scaling.trial import Recipe


class ClipFamily:
    """open_clip's own network and loss. See `scaling.families.Family`."""

    models: Mapping[str, ModelConfig] = CLIP

    def profile(self, model: str) -> Profile:
        """See `Family.profile`."""
        return clip_profile(self.models[model])

    def build(self, model: str) -> "nn.Module":
        """See `Family.build`."""
        from scaling.families.clip.network import Clip

        return Clip(self.models[model])

    def losses(
        self, network: "nn.Module", images: "Tensor", tokens: "Tensor", recipe: "Recipe"
    ) -> "Mapping[str, Tensor]":
        """The contrastive loss. See `Family.losses`."""
        from scaling.families._contrastive import contrastive_loss

        return {"contrastive": contrastive_loss(network(images, tokens))}


FAMILY = ClipFamily()
