"""Features of an image's patches, and image towers for other sizes of images and patches.

Source of both: the evaluation that the reference study (arXiv:2506.04598) points to for
segmentation, github.com/tue-mps/benchmark-vfm-ss, `models/encoder.py` at b657aad.

Shapes: B images, P patches, row after row of the image, W width of the tower.
"""

import copy
import math
from typing import Any

import torch
from open_clip.transformer import VisionTransformer
from torch import Tensor, nn

from scaling.errors import ScalingError


class PatchFeatures:
    """What every family's network gives of an image's patches."""

    visual: nn.Module
    """The image tower."""

    def encode_patches(self, images: Tensor) -> Tensor:
        """Features (B, P, W) of the patches of images (B, 3, H, W). See `patch_features`."""
        return patch_features(self.visual, images)


def patch_features(tower: nn.Module, images: Tensor) -> Tensor:
    """Tokens (B, P, W) of images (B, 3, H, W) after the last block and the tower's own norm.

    The class token is left out. The norm of MaMMUT, which in training follows the pooling, is
    applied to each token, as in the source; that of a tower that pools by attention is for what
    was pooled, so that CoCa's tokens are as the last block leaves them.

    Raises `ScalingError` for a tower that has no tokens, such as a ResNet.
    """
    if isinstance(tower, VisionTransformer):
        x = tower.transformer(tower._embeds(images))
        pools_tokens = tower.attn_pool is not None and tower.attn_pool_contrastive is None
        tokens: Tensor = x if pools_tokens else tower.ln_post(x)
        return tokens[:, 1:]
    trunk: Any = getattr(tower, "trunk", None)
    prefix = getattr(trunk, "num_prefix_tokens", None)
    if isinstance(prefix, int):
        found: Tensor = trunk.forward_features(images)
        if found.ndim == 3:
            return found[:, prefix:]
    raise _no_tokens(tower)


def side_of(patches: int) -> int:
    """Patches along a side of a square image; raises `ScalingError` if there is no such side."""
    side = math.isqrt(patches)
    if side * side != patches:
        raise ScalingError(f"an image tower that makes {patches} tokens has no square of patches")
    return side


def copied_tower(
    tower: nn.Module, image_size: int | None = None, patch_size: int | None = None
) -> nn.Module:
    """A copy of `tower` that can be trained by itself, for images and patches of other sizes.

    The kernel of the patch embedding is resampled by the pseudo-inverse of bicubic resizing (Beyer
    et al. 2023, arXiv:2212.08013, section 3.4), the position embeddings by bicubic interpolation,
    both by timm's functions as in the source. None keeps a size.

    Raises `ScalingError` if the tower cannot be resampled so.
    """
    # Not under inference mode, whose tensors can never be trained.
    with torch.inference_mode(False), torch.no_grad():
        copied = copy.deepcopy(tower)
        _without_training_extras(copied)
        own_image, own_patch = _own_sizes(copied)
        image_size, patch_size = image_size or own_image[0], patch_size or own_patch[0]
        if (own_image, own_patch) != ((image_size,) * 2, (patch_size,) * 2):
            if image_size % patch_size:
                raise ScalingError(
                    f"images of {image_size} pixels are not whole patches of {patch_size}"
                )
            _resample(copied, image_size, patch_size)
        return copied.requires_grad_(True)


def _without_training_extras(tower: nn.Module) -> None:
    """Take away what a session in training put into the tower: `scaling.train.blocks`, dropout."""
    for module in tower.modules():
        # A compiled forward would compute with the weights of the tower that was copied.
        module.__dict__.pop("forward", None)
    trunk = getattr(tower, "trunk", tower)
    for name in ("patch_dropout", "patch_drop"):
        if isinstance(getattr(trunk, name, None), nn.Module):
            setattr(trunk, name, nn.Identity())


def _own_sizes(tower: nn.Module) -> tuple[tuple[int, int], tuple[int, int]]:
    if isinstance(tower, VisionTransformer):
        return tuple(tower.image_size), tuple(tower.patch_size)
    embedding: Any = getattr(getattr(tower, "trunk", None), "patch_embed", None)
    if not hasattr(embedding, "patch_size") or not getattr(embedding, "img_size", None):
        raise _no_tokens(tower)
    return tuple(embedding.img_size), tuple(embedding.patch_size)


def _resample(tower: nn.Module, image_size: int, patch_size: int) -> None:
    grid = [image_size // patch_size] * 2
    if not isinstance(tower, VisionTransformer):
        trunk: Any = tower.trunk
        if not hasattr(trunk, "set_input_size"):
            raise ScalingError(
                f"{type(trunk).__name__}: cannot be resampled for images of {image_size} pixels "
                f"and patches of {patch_size}; leave out crop_size and patch_size"
            )
        trunk.set_input_size(img_size=(image_size,) * 2, patch_size=(patch_size,) * 2)
        return
    if len(set(tower.patch_size)) > 1 or len(set(tower.grid_size)) > 1:
        raise ScalingError("an image tower with patches or images that are not square")
    from timm.layers.patch_embed import resample_patch_embed
    from timm.layers.pos_embed import resample_abs_pos_embed

    kernel = resample_patch_embed(tower.conv1.weight, [patch_size] * 2)
    tower.conv1.weight = nn.Parameter(kernel.contiguous())
    tower.conv1.kernel_size = tower.conv1.stride = (patch_size, patch_size)
    positions = resample_abs_pos_embed(tower.positional_embedding[None], grid, num_prefix_tokens=1)
    tower.positional_embedding = nn.Parameter(positions[0].contiguous())
    tower.image_size = (image_size, image_size)
    tower.patch_size = (patch_size, patch_size)
    tower.grid_size = (grid[0], grid[1])


def _no_tokens(tower: nn.Module) -> ScalingError:
    kind = type(getattr(tower, "trunk", tower)).__name__
    return ScalingError(
        f"{kind}: this image tower gives no features of patches, which segmentation needs; "
        "vision transformers of open_clip and timm do"
    )
