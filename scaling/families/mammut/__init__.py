"""MaMMUT: one text decoder, used for contrast and for captions (arXiv:2303.16839)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from scaling.families import Ability, Profile
from scaling.families._captioner import ContrastiveCaptioner
from scaling.families._flops import mammut_profile
from scaling.families._towers import MAMMUT, ViTConfig

if TYPE_CHECKING:
    from torch import nn

    from scaling.trial import Recipe


class MammutFamily(ContrastiveCaptioner):
    """The reference study's variant of MaMMUT. See `scaling.families.Family`."""

    models: Mapping[str, ViTConfig] = MAMMUT
    abilities: frozenset[Ability] = frozenset({"features", "captions", "patches"})

    def profile(self, model: str) -> Profile:
        """See `Family.profile`."""
        return mammut_profile(self.models[model])

    def build(self, model: str, recipe: "Recipe | None" = None) -> "nn.Module":
        """See `Family.build`."""
        from scaling.families.mammut.network import Mammut

        return Mammut(self.models[model], pad=recipe.pad if recipe else "attend")


FAMILY = MammutFamily()
