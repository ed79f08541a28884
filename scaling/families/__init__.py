"""Families: training procedures (network + loss), one file or folder each.

A module here, `scaling/families/NAME.py` or `NAME/__init__.py`, registers the family NAME by
holding a `FAMILY` object that satisfies `Family`. It must not import torch at module level: plans
and profiles are made without it. Modules whose names begin with '_' are shared parts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from scaling.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor, nn

    from scaling.families._towers import ModelConfig
    from scaling.trial import Recipe


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Size and forward cost of a model.

    Three conventions of forward GFLOPs per sample (2 per multiply-add; one image and one caption
    of full context length), never mixed: `published` is the reference study's counting, `lean` is
    what a correct implementation must compute, `full` adds attention score products to `lean`.
    """

    params: int
    image_params: int
    text_params: int
    published_gflops: float
    lean_gflops: float
    full_gflops: float


class Family(Protocol):
    """A training procedure: how its networks are built and what loss they minimise."""

    @property
    def models(self) -> Mapping[str, "ModelConfig"]:
        """Model sizes by name."""
        ...

    def profile(self, model: str) -> Profile:
        """Parameters and forward GFLOPs of `model`, in closed form, without torch."""
        ...

    def build(self, model: str) -> "nn.Module":
        """A network with fresh weights drawn from torch's global random state.

        It has `encode_image(images_BCHW) -> (B, D)` and `encode_text(tokens_BT) -> (B, D)`, both
        of unit L2 norm, and takes part in `losses`.
        """
        ...

    def losses(
        self, network: "nn.Module", images: "Tensor", tokens: "Tensor", recipe: "Recipe"
    ) -> Mapping[str, "Tensor"]:
        """Loss terms of a batch by name, already weighted: their sum is what is minimised."""
        ...


FAMILIES: Registry[Family] = Registry("family", "scaling.families", "FAMILY")
