"""SigLIP: CLIP's towers under a pairwise sigmoid loss (Zhai et al. 2023, arXiv:2303.15343)."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from scaling.families import Profile, World
from scaling.families._flops import siglip_profile
from scaling.families._open_clip import OpenModels
from scaling.families._towers import SIGLIP, ModelConfig, ViTConfig
from scaling.families.clip import ClipFamily

if TYPE_CHECKING:
    from torch import Tensor, nn

    from scaling.trial import Recipe

INIT_LOGIT_SCALE = math.log(10)
INIT_LOGIT_BIAS = -10.0
"""Section 3.2 and algorithm 1 of the paper; open_clip's `--siglip` sets the same."""


class SiglipFamily(ClipFamily):
    """open_clip's CLIP network with a logit bias, and its loss. See `scaling.families.Family`."""

    models: Mapping[str, ModelConfig] = OpenModels("siglip", SIGLIP)

    def _closed_form(self, config: ViTConfig) -> Profile:
        return siglip_profile(config)

    def build(self, model: str, recipe: "Recipe | None" = None) -> "nn.Module":
        """See `Family.build`."""
        from scaling.families.clip.network import build

        return build(
            self.models[model], init_logit_scale=INIT_LOGIT_SCALE, init_logit_bias=INIT_LOGIT_BIAS
        )

    def batch_losses(
        self, features: "Mapping[str, Tensor]", scalars: "Mapping[str, Tensor]", world: World
    ) -> "Mapping[str, Tensor]":
        """The sigmoid loss. See `Family.batch_losses`."""
        from scaling.families._contrastive import sigmoid_loss

        return {"contrastive": sigmoid_loss(features, scalars, world)}


FAMILY = SiglipFamily()
