"""Images to network inputs: from bytes to normalised floats."""

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, device

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
"""Per channel, of the pictures that CLIP was first trained on (open_clip's OPENAI_DATASET_*)."""


def to_inputs(images: "NDArray[np.uint8]", on: "device") -> "Tensor":
    """Images (count, height, width, 3) as floats (count, 3, height, width), normalised."""
    import torch

    pixels = torch.from_numpy(images)
    if on.type == "cuda":
        # A page-locked copy lets the transfer overlap with what the device is computing.
        pixels = pixels.pin_memory().to(on, non_blocking=True)
    scale, shift = _affine(on)
    return torch.addcmul(shift, pixels.float(), scale).permute(0, 3, 1, 2).contiguous()


@cache
def _affine(on: "device") -> "tuple[Tensor, Tensor]":
    """Factor and offset per channel that turn bytes into normalised floats."""
    import torch

    scale = torch.tensor([1 / (255 * std) for std in STD], device=on)
    shift = torch.tensor([-mean / std for mean, std in zip(MEAN, STD, strict=True)], device=on)
    return scale, shift
