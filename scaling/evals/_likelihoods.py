"""How likely a network finds captions of images, every caption of every image."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scaling.evals._subject import as_array
from scaling.families._tokenizers import tokenize

if TYPE_CHECKING:
    from scaling.evals._subject import Subject

_PAIRS_AT_ONCE = 1600


def caption_scores(
    subject: "Subject", images: NDArray[np.uint8], captions: Sequence[str]
) -> NDArray[np.float32]:
    """Log-likelihoods (images, captions) of each caption given each image."""
    import torch

    likelihood: Any = subject.network.caption_log_likelihood
    tokens = torch.from_numpy(tokenize(captions, subject.config)).to(subject.device)
    images_at_once = max(1, _PAIRS_AT_ONCE // len(captions))
    scores = []
    with subject.computing():
        for first in range(0, len(images), images_at_once):
            inputs = subject.inputs(images[first : first + images_at_once])
            found = likelihood(inputs, tokens.repeat(len(inputs), 1))
            scores.append(as_array(found.reshape(len(inputs), -1)))
    return np.concatenate(scores)
