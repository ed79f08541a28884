"""CLIP: two towers and a symmetric contrastive loss (Radford et al. 2021, arXiv:2103.00020)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from scaling.families import Ability, Profile, World
from scaling.families._flops import clip_profile
from scaling.families._open_clip import OpenModels
from scaling.families._towers import CLIP, ModelConfig, ViTConfig

if TYPE_CHECKING:
    from torch import Tensor, nn

    from scaling.trial import Recipe


class ClipFamily:
    """open_clip's own network and loss. See `scaling.families.Family`."""

    models: Mapping[str, ModelConfig] = OpenModels("clip", CLIP)
    abilities: frozenset[Ability] = frozenset({"features", "patches"})

    def profile(self, model: str) -> Profile:
        """See `Family.profile`."""
        config = self.models[model]
        if isinstance(config, ViTConfig):
            return self._closed_form(config)
        from scaling.families._measured import measured_profile

        return measured_profile(lambda: self.build(model), config)

    def _closed_form(self, config: ViTConfig) -> Profile:
        return clip_profile(config)

    def build(self, model: str, recipe: "Recipe | None" = None) -> "nn.Module":
        """See `Family.build`."""
        from scaling.families.clip.network import build

        return build(self.models[model])

    def batch_losses(
        self, features: "Mapping[str, Tensor]", scalars: "Mapping[str, Tensor]", world: World
    ) -> "Mapping[str, Tensor]":
        """The contrastive loss. See `Family.batch_losses`."""
        from scaling.families._contrastive import contrastive_loss

        return {"contrastive": contrastive_loss(features, scalars, world)}

    def counts(self, tokens: "Tensor") -> "Mapping[str, Tensor]":
        """See `Family.counts`."""
        return {}

    def weights(self, recipe: "Recipe") -> Mapping[str, float]:
        """See `Family.weights`."""
        return {"contrastive": 1.0}


FAMILY = ClipFamily()
