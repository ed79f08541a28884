"""An image tower with a linear head on its patches.

Shapes: B pictures, P patches, W width of the tower, C classes.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scaling.errors import DataError
from scaling.evals._segmentation.confusion import Confusion
from scaling.evals._segmentation.windows import likeliest, scaled_pictures, sliding_logits
from scaling.evaluation_sets import Pictures
from scaling.families._images import CLIP_PREPROCESSING, Preprocessing, to_inputs
from scaling.families._patches import patch_features, side_of


class PatchEncoder(nn.Module):
    """An image tower, and what it expects to be done to pictures."""

    def __init__(
        self, tower: nn.Module, preprocessing: Preprocessing = CLIP_PREPROCESSING
    ) -> None:
        """The framing of `preprocessing` is left out: windows are cut from whole pictures."""
        super().__init__()
        self.tower, self.preprocessing = tower, preprocessing

    @property
    def device(self) -> torch.device:
        """Where the tower is."""
        return next(self.tower.parameters()).device

    def inputs(self, images: NDArray[np.uint8]) -> Tensor:
        """Pictures (B, S, S, 3), normalised (B, 3, S, S)."""
        mean, std = self.preprocessing.mean, self.preprocessing.std
        return to_inputs(np.ascontiguousarray(images), self.device, mean, std)

    def forward(self, inputs: Tensor) -> Tensor:
        """Features (B, P, W) of normalised pictures."""
        return patch_features(self.tower, inputs)


class Segmenter(nn.Module):
    """What says of each patch of a picture which class it shows."""

    def __init__(self, encoder: PatchEncoder, head: nn.Linear) -> None:
        """`head` takes features of the encoder's patches."""
        super().__init__()
        self.encoder, self.head = encoder, head

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits (B, C, rows, columns) of normalised pictures (B, 3, S, S)."""
        logits_BPC = self.head(self.encoder(inputs))
        side = side_of(logits_BPC.shape[1])
        logits: Tensor = logits_BPC.transpose(1, 2).unflatten(2, (side, side))
        return logits


def autocast(device: torch.device) -> torch.autocast:
    """bf16 on a GPU, whose range is that of fp32, so that no loss has to be scaled."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")


def confusion_of(segmenter: Segmenter, pictures: Pictures, crop: int) -> Confusion:
    """Every pixel of every picture counted; raises `DataError` if none has a class."""
    confusion = Confusion(segmenter.head.out_features)

    def logits_of(images: NDArray[np.uint8]) -> Tensor:
        logits: Tensor = segmenter(segmenter.encoder.inputs(images))
        return logits

    segmenter.eval()
    with torch.inference_mode(), autocast(segmenter.encoder.device):
        for images, masks, _ in scaled_pictures(pictures, crop):
            logits = sliding_logits(images, crop, logits_of)
            confusion.add(masks, likeliest(logits, masks.shape[1:3]))
    if not confusion.counts.any():
        raise DataError("no pixel of the pictures that are scored has a class")
    return confusion
