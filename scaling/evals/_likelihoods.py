"""How likely a network finds captions of images, every caption of every image."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scaling.families._images import to_inputs
from scaling.families._tokenizers import tokenize
from scaling.families._towers import ModelConfig

if TYPE_CHECKING:
    from torch import nn

_PAIRS_AT_ONCE = 1600


def caption_scores(
    network: "nn.Module",
    images: NDArray[np.uint8],
    captions: Sequence[str],
    config: ModelConfig,
) -> NDArray[np.float32]:
    """Log-likelihoods (images, captions) of each caption given each image, in fp32."""
    import torch

    likelihood: Any = network.caption_log_likelihood
    on = next(network.parameters()).device
    tokens = torch.from_numpy(tokenize(captions, config)).to(on)
    images_at_once = max(1, _PAIRS_AT_ONCE // len(captions))
    scores = []
    with torch.inference_mode():
        for first in range(0, len(images), images_at_once):
            inputs = to_inputs(images[first : first + images_at_once], on)
            found = likelihood(inputs, tokens.repeat(len(inputs), 1))
            scores.append(found.reshape(len(inputs), -1).float().cpu())
    result: NDArray[np.float32] = torch.cat(scores).numpy()
    return result
