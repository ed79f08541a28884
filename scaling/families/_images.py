"""Images to network inputs: from bytes to normalised floats."""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, device

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
"""Per channel, of the pictures that CLIP was first trained on (open_clip's OPENAI_DATASET_*)."""

Colour = tuple[float, float, float]
"""A number a channel, of red, green and blue between 0 and 1."""
Resize = Literal["shortest", "squash", "longest"]
Interpolation = Literal["bicubic", "bilinear"]


@dataclass(frozen=True, kw_only=True)
class Framing:
    """How a picture of any shape becomes a square one."""

    resize: Resize = "shortest"
    """The shorter side to the size, then the middle; `squash` both sides, whatever becomes of
    proportions; `longest` the longer side, then black around it."""
    interpolation: Interpolation = "bicubic"

    def __str__(self) -> str:
        """For people."""
        return f"{self.resize}, {self.interpolation}"


CLIP_FRAMING = Framing()


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """What a network expects to be done to pictures; the default is how trials are trained."""

    mean: Colour = MEAN
    std: Colour = STD
    framing: Framing = CLIP_FRAMING

    def __str__(self) -> str:
        """For people."""
        numbers = (" ".join(f"{its:.4g}" for its in colour) for colour in (self.mean, self.std))
        return "{}, mean {}, std {}".format(self.framing, *numbers)


CLIP_PREPROCESSING = Preprocessing()


def to_inputs(
    images: "NDArray[np.uint8]", on: "device", mean: Colour = MEAN, std: Colour = STD
) -> "Tensor":
    """Images (count, height, width, 3) as floats (count, 3, height, width), normalised."""
    import torch

    pixels = torch.from_numpy(images)
    if on.type == "cuda":
        # A page-locked copy lets the transfer overlap with what the device is computing.
        pixels = pixels.pin_memory().to(on, non_blocking=True)
    scale, shift = _affine(on, mean, std)
    return torch.addcmul(shift, pixels.float(), scale).permute(0, 3, 1, 2).contiguous()


@cache
def _affine(on: "device", mean: Colour, std: Colour) -> "tuple[Tensor, Tensor]":
    """Factor and offset per channel that turn bytes into normalised floats."""
    import torch

    scale = torch.tensor([1 / (255 * its) for its in std], device=on)
    shift = torch.tensor([-its / by for its, by in zip(mean, std, strict=True)], device=on)
    return scale, shift
