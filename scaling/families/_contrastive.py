"""The contrastive loss that families share."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor


def contrastive_loss(outputs: "Mapping[str, Tensor]") -> "Tensor":
    """open_clip's `ClipLoss`, with logits in fp32 whatever the precision of the towers.

    Takes `image_features` and `text_features` (B, D), both of unit norm, and `logit_scale`,
    exponentiated. Under bf16 autocast open_clip itself leaves the logits in bf16; at a scale of
    100 their gradient is then off by about 1 %.
    """
    import torch
    from open_clip.loss import ClipLoss

    scale = outputs["logit_scale"]
    with torch.autocast(scale.device.type, enabled=False):
        loss: Tensor = ClipLoss()(
            outputs["image_features"].float(), outputs["text_features"].float(), scale.float()
        )
    return loss
