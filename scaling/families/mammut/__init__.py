"""MaMMUT: one text decoder, used for contrast and for captions (arXiv:2303.16839)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from scaling.families import Ability, Profile, World
from scaling.families._flops import mammut_profile
from scaling.families._tokenizers import PAD_ID
from scaling.families._towers import MAMMUT, ViTConfig

if TYPE_CHECKING:
    from torch import Tensor, nn

    from scaling.trial import Recipe


class MammutFamily:
    """The reference study's variant of MaMMUT. See `scaling.families.Family`."""

    models: Mapping[str, ViTConfig] = MAMMUT
    abilities: frozenset[Ability] = frozenset({"features", "captions"})

    def profile(self, model: str) -> Profile:
        """See `Family.profile`."""
        return mammut_profile(self.models[model])

    def build(self, model: str, recipe: "Recipe | None" = None) -> "nn.Module":
        """See `Family.build`."""
        from scaling.families.mammut.network import Mammut

        return Mammut(self.models[model], pad=recipe.pad if recipe else "attend")

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


FAMILY = MammutFamily()
