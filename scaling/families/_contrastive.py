"""The contrastive losses that families share."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from scaling.families import World


def contrastive_loss(
    features: "Mapping[str, Tensor]", scalars: "Mapping[str, Tensor]", world: "World"
) -> "Tensor":
    """open_clip's `ClipLoss`, with logits in fp32 whatever the precision of the towers.

    Takes `image_features` and `text_features` (B, D) of this process, both of unit norm, and
    `logit_scale`, exponentiated. Every process compares its own rows with all, gathered with their
    gradients: without these, as by open_clip's default, gradients shrink with the number of
    processes, and with them the weight beside another loss. Under bf16 autocast open_clip itself
    leaves the logits in bf16; at a scale of 100 their gradient is then off by about 1 %.
    """
    import torch
    from open_clip.loss import ClipLoss

    image, text = (upcast(features[name]) for name in ("image_features", "text_features"))
    scale = scalars["logit_scale"]
    measure = ClipLoss(
        local_loss=True, gather_with_grad=True, rank=world.rank, world_size=world.size
    )
    with torch.autocast(scale.device.type, enabled=False):
        loss: Tensor = measure(image, text, upcast(scale))
    return loss


def sigmoid_loss(
    features: "Mapping[str, Tensor]", scalars: "Mapping[str, Tensor]", world: "World"
) -> "Tensor":
    """open_clip's `SigLipLoss`, with logits in fp32 whatever the precision of the towers.

    Takes what `contrastive_loss` does and `logit_bias`. Texts are gathered with their gradients
    ('gather'): one collective, where exchange with neighbours takes as many as there are others.
    """
    import torch
    from open_clip.loss import SigLipLoss

    image, text = (upcast(features[name]) for name in ("image_features", "text_features"))
    scale, bias = scalars["logit_scale"], scalars["logit_bias"]
    measure = SigLipLoss(rank=world.rank, world_size=world.size, dist_impl="gather")
    with torch.autocast(scale.device.type, enabled=False):
        loss: Tensor = measure(image, text, upcast(scale), upcast(bias))
    return loss


def upcast(tensor: "Tensor") -> "Tensor":
    """At least fp32; double precision stays."""
    import torch

    return tensor if tensor.dtype == torch.float64 else tensor.float()
