"""Cap: the network of MaMMUT, trained on captions alone (Tschannen et al. 2023, arXiv:2306.07915).

In the reference study's code (arXiv:2506.04598) this is its MaMMUT with a contrastive weight of 0.
Its networks give no features to compare images and texts with, so that tasks that need those are
refused; `shapes_generative_classification` is for it.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from scaling.families import Ability, Profile, World
from scaling.families._flops import cap_profile
from scaling.families._tokenizers import PAD_ID
from scaling.families._towers import CAP, ViTConfig

if TYPE_CHECKING:
    from torch import Tensor, nn

    from scaling.trial import Recipe


class CapFamily:
    """The reference study's variant of Cap. See `scaling.families.Family`."""

    models: Mapping[str, ViTConfig] = CAP
    abilities: frozenset[Ability] = frozenset({"captions", "patches"})

    def profile(self, model: str) -> Profile:
        """See `Family.profile`."""
        return cap_profile(self.models[model])

    def build(self, model: str, recipe: "Recipe | None" = None) -> "nn.Module":
        """See `Family.build`."""
        from scaling.families.cap.network import Cap

        return Cap(self.models[model])

    def batch_losses(
        self, features: "Mapping[str, Tensor]", scalars: "Mapping[str, Tensor]", world: World
    ) -> "Mapping[str, Tensor]":
        """There is none. See `Family.batch_losses`."""
        return {}

    def counts(self, tokens: "Tensor") -> "Mapping[str, Tensor]":
        """Caption tokens that are not padding. See `Family.counts`."""
        return {"caption": (tokens[:, 1:] != PAD_ID).sum()}

    def weights(self, recipe: "Recipe") -> Mapping[str, float]:
        """1, whatever the recipe's `caption_loss_weight`, which is beside another loss."""
        return {"caption": 1.0}


FAMILY = CapFamily()
