"""A network's features of many images or captions, batch by batch."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scaling.families._images import to_inputs
from scaling.families._tokenizers import tokenize
from scaling.families._towers import ModelConfig

if TYPE_CHECKING:
    from torch import device, nn

_BATCH_SIZE = 256

Features = NDArray[np.float32]
"""(count, D), of unit L2 norm."""


def image_features(network: "nn.Module", images: NDArray[np.uint8]) -> Features:
    """Features of images (count, H, W, 3), computed in fp32."""
    import torch

    encode: Any = network.encode_image
    on = _device(network)
    with torch.inference_mode():
        batches = [
            encode(to_inputs(images[first : first + _BATCH_SIZE], on)).float().cpu()
            for first in range(0, len(images), _BATCH_SIZE)
        ]
    found: Features = torch.cat(batches).numpy()
    return found


def text_features(network: "nn.Module", captions: Sequence[str], config: ModelConfig) -> Features:
    """Features of captions, computed in fp32."""
    import torch

    encode: Any = network.encode_text
    on = _device(network)
    tokens = torch.from_numpy(tokenize(captions, config))
    with torch.inference_mode():
        batches = [
            encode(batch.to(on)).float().cpu() for batch in torch.split(tokens, _BATCH_SIZE)
        ]
    found: Features = torch.cat(batches).numpy()
    return found


def _device(network: "nn.Module") -> "device":
    return next(network.parameters()).device
