"""Families: training procedures (network + loss), one file or folder each.

A module here, `scaling/families/NAME.py` or `NAME/__init__.py`, registers the family NAME by
holding a `FAMILY` object that satisfies `Family`. It must not import torch at module level: plans
and profiles are made without it. Modules whose names begin with '_' are shared parts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from scaling.errors import ScalingError, unknown
from scaling.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor, nn

    from scaling.families._towers import ModelConfig
    from scaling.trial import Recipe


Ability = Literal["features", "captions", "patches"]
"""What can be asked of a family's networks: features of images and texts, how likely a caption is,
features of an image's patches. A task needs one of them."""


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


class World(NamedTuple):
    """The processes that train one trial together."""

    rank: int = 0
    """This one."""
    size: int = 1


class Outputs(NamedTuple):
    """What a network makes of a micro-batch of B pairs: all that losses need of it."""

    features: "Mapping[str, Tensor]"
    """`image_features` and `text_features` (B, D), of unit L2 norm. Losses compare them with those
    of the whole global batch; empty for a family without such a loss."""
    scalars: "Mapping[str, Tensor]"
    """Learned numbers () in those losses: `logit_scale`, exponentiated, and `logit_bias`."""
    sums: "Mapping[str, Tensor]"
    """Loss terms that are means over tokens: the sum () over this micro-batch in fp32, by name.
    The mean is taken over the global batch, so that no rank or micro-batch weighs more."""


class Family(Protocol):
    """A training procedure: how its networks are built and what loss they minimise.

    The loss of a step is the sum of `weights` times the terms of `batch_losses` and of
    `Outputs.sums` over `counts`. It is that of the global batch whatever the number of processes
    and micro-batches.
    """

    @property
    def models(self) -> Mapping[str, "ModelConfig"]:
        """Model sizes by name; looking others up may work as well (`find_model`)."""
        ...

    @property
    def abilities(self) -> "frozenset[Ability]":
        """What tasks may ask of its networks; a task that needs more is refused in a grid."""
        ...

    def profile(self, model: str) -> Profile:
        """Parameters and forward GFLOPs of `model`; of `models` in closed form, without torch."""
        ...

    def build(self, model: str, recipe: "Recipe | None" = None) -> "nn.Module":
        """A network with fresh weights drawn from torch's global random state.

        Calling it with images (B, 3, H, W) and tokens (B, T) gives `Outputs`; with
        `captions=False` as well, those without `sums` and what they cost. With the ability
        'features' it has `encode_image(images_BCHW) -> (B, D)` and `encode_text(tokens_BT) ->
        (B, D)`, both of unit L2 norm; with 'captions', `caption_log_likelihood(images_BCHW,
        tokens_NT) -> (N,)`: log p of each caption's tokens given its image, N / B captions an
        image, one image after another; with 'patches', `encode_patches(images_BCHW) -> (B, P, W)`,
        row after row of a square of patches, and `visual`, the image tower that gives them
        (`scaling.families._patches`).

        `recipe` says what of training changes the network itself: `patch_dropout` and `pad`, which
        change no name, shape or initial value of a weight; None is all defaults.
        """
        ...

    def batch_losses(
        self, features: "Mapping[str, Tensor]", scalars: "Mapping[str, Tensor]", world: World
    ) -> "Mapping[str, Tensor]":
        """Loss terms () made of this process's features and, gathered, all others' (`Outputs`).

        The mean over processes of their gradients is the gradient of the global batch.
        """
        ...

    def counts(self, tokens: "Tensor") -> "Mapping[str, Tensor]":
        """Of how many terms each of `Outputs.sums` is the sum, () each, for tokens (B, T)."""
        ...

    def weights(self, recipe: "Recipe") -> Mapping[str, float]:
        """What each loss term is multiplied by, by name."""
        ...


FAMILIES: Registry[Family] = Registry("family", "scaling.families", "FAMILY")


def find_model(family: str, model: str) -> "ModelConfig":
    """The configuration of `model`; raises `ScalingError` with the nearest name."""
    models = FAMILIES.get(family).models
    try:
        return models[model]
    except ScalingError:
        raise
    except KeyError:
        raise ScalingError(unknown(f"model of {family}", model, models)) from None
