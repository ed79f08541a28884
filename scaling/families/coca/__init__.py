"""CoCa: two towers, and a captioner that follows the text tower (arXiv:2205.01917).

The network and the loss are open_clip's, which the reference study (arXiv:2506.04598) trained;
what is mended of them is said in `scaling.families.coca.network`. open_clip's trainer weights the
caption loss with 2.0 beside the contrastive loss (`--coca-caption-loss-weight`); here it is the
recipe's `caption_loss_weight`, as for every family.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from scaling.families import Ability, Profile
from scaling.families._captioner import ContrastiveCaptioner
from scaling.families._flops import coca_profile
from scaling.families._open_clip import OpenModels
from scaling.families._towers import COCA, ModelConfig, ViTConfig

if TYPE_CHECKING:
    from torch import nn

    from scaling.trial import Recipe


class CocaFamily(ContrastiveCaptioner):
    """open_clip's CoCa. See `scaling.families.Family`."""

    models: Mapping[str, ModelConfig] = OpenModels("coca", COCA, has_captioner=True)
    abilities: frozenset[Ability] = frozenset({"features", "captions", "patches"})

    def profile(self, model: str) -> Profile:
        """See `Family.profile`."""
        return coca_profile(self._config(model))

    def build(self, model: str, recipe: "Recipe | None" = None) -> "nn.Module":
        """See `Family.build`."""
        from scaling.families.coca.network import Coca

        return Coca(self._config(model), pad=recipe.pad if recipe else "attend")

    def _config(self, model: str) -> ViTConfig:
        return cast("ViTConfig", self.models[model])


FAMILY = CocaFamily()
