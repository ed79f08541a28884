"""Training on a part of each image's patches (Li et al. 2022, arXiv:2212.00794)."""

import torch
from torch import Tensor, nn

from scaling.errors import ResourceError


def drop_patches(network: nn.Module, fraction: float) -> None:
    """Leave out `fraction` of each image's patches when `network` is in training mode.

    Takes the image towers of open_clip and timm that are vision transformers with a class token;
    raises `ResourceError` for others. If `fraction` is 0, what the model's own configuration says
    stays.
    """
    tower = network.visual
    trunk = getattr(tower, "trunk", tower)
    name = "patch_drop" if trunk is not tower else "patch_dropout"
    there = getattr(trunk, name, None)
    if not fraction:
        fraction = float(getattr(there, "prob", 0.0))
        if not fraction:
            return
    prefix = getattr(trunk, "num_prefix_tokens", 1)
    if not isinstance(there, nn.Module) or not isinstance(prefix, int):
        raise ResourceError(
            f"patch_dropout: {type(trunk).__name__} is not a vision transformer whose patches "
            "can be left out"
        )
    setattr(trunk, name, PatchDropout(fraction, prefix))


class PatchDropout(nn.Module):
    """Keeps a random part of the patches while training, else everything.

    open_clip's module of this name draws on the CPU whatever the device, which makes a GPU wait;
    this one draws where the tokens are.
    """

    def __init__(self, fraction: float, prefix_tokens: int = 1) -> None:
        """Leave out `fraction` of what follows the first `prefix_tokens`; at least one stays."""
        super().__init__()
        self.fraction = fraction
        self.prefix_tokens = prefix_tokens

    def forward(self, tokens_BPW: Tensor) -> Tensor:
        """The tokens (B, P, W) that stay; each image keeps others."""
        if not self.training:
            return tokens_BPW
        batch, length, width = tokens_BPW.shape
        patches = length - self.prefix_tokens
        kept = max(1, int(patches * (1 - self.fraction)))
        order_BP = torch.rand(batch, patches, device=tokens_BPW.device).argsort(dim=1)
        kept_BP1 = order_BP[:, :kept, None] + self.prefix_tokens
        chosen = tokens_BPW.gather(1, kept_BP1.expand(-1, -1, width))
        return torch.cat([tokens_BPW[:, : self.prefix_tokens], chosen], dim=1)
