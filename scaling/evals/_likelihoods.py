"""How likely a network finds captions of images, and what is made of it.

The score of a caption is log p(caption | image), summed over its tokens. Two things may be chosen
otherwise, and both are part of a task:

`length: mean` divides by the number of tokens, so that long captions are not unlikely for their
length alone (Brown et al. 2020, arXiv:2005.14165, section 2.4, for answers to choose from).

`prior_weight` takes that much of log p(caption) off: captions that are common whatever the image
shows win less often (Lin et al. 2023, arXiv:2306.01879, who call it alpha). No captioner here was
trained without an image, so that p(caption) is estimated as they do: it is the mean of
p(caption | noise) over `prior_pictures` images of Gaussian noise, the same for every network.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from scaling.datasets import Options
from scaling.evals._subject import as_array
from scaling.families._tokenizers import PAD_ID, tokenize

if TYPE_CHECKING:
    from torch import Tensor

    from scaling.evals._subject import Subject

_PAIRS_AT_ONCE = 1600
"""Captions of images that are computed together."""

_SEED_OF_NOISE = 0

Scores = NDArray[np.float32]


class LikelihoodOptions(Options):
    """What a likelihood is made into; see the module for sources."""

    length: Literal["sum", "mean"] = "sum"
    """Log-likelihood of a caption, or of its mean token."""
    prior_weight: Annotated[float, Field(ge=0, le=1)] = 0.0
    """How much of log p(caption), without its image, is taken off."""
    prior_pictures: Annotated[int, Field(ge=1, le=100)] = 3
    """Images of noise from which that is estimated, if its weight is not 0."""


class Captions(NamedTuple):
    """Captions that images are read with. R is the number of images, or 1: the same for each.

    Shapes: C captions an image, T tokens.
    """

    tokens_RCT: "Tensor"
    taken_off_RC: Scores
    """The weighted log p(caption)."""
    divisors_RC: Scores

    @classmethod
    def of(
        cls, texts: Sequence[Sequence[str]], subject: "Subject", options: LikelihoodOptions
    ) -> Self:
        """For each image the same number of `texts`, or one row for all images."""
        import torch

        shape = (len(texts), len(texts[0]))
        flat = tokenize([text for own in texts for text in own], subject.config)
        # The first token begins each caption, and nobody has to say it.
        lengths = (flat[:, 1:] != PAD_ID).sum(axis=1).astype(np.float32).reshape(shape)
        tokens_NT = torch.from_numpy(flat).to(subject.device)
        weight, taken_off = options.prior_weight, np.zeros(shape, np.float32)
        if weight:
            found = _log_prior(subject, tokens_NT, options.prior_pictures)
            taken_off = np.float32(weight) * found.reshape(shape)
        divisors = lengths if options.length == "mean" else np.ones_like(lengths)
        return cls(tokens_NT.reshape(*shape, -1), taken_off, divisors)

    def scores(self, subject: "Subject", images: NDArray[np.uint8]) -> Scores:
        """Scores (images, captions) of the captions of each image."""
        count = self.tokens_RCT.shape[1]
        tokens_BCT = self.tokens_RCT.expand(len(images), -1, -1)
        at_once = max(1, _PAIRS_AT_ONCE // count)
        found = [
            _log_likelihoods(
                subject, subject.inputs(images[rows]), tokens_BCT[rows].flatten(0, 1)
            ).reshape(-1, count)
            for rows in (slice(n, n + at_once) for n in range(0, len(images), at_once))
        ]
        scores: Scores = (np.concatenate(found) - self.taken_off_RC) / self.divisors_RC
        return scores


def _log_prior(subject: "Subject", tokens_NT: "Tensor", pictures: int) -> Scores:
    """log p(caption) (N,): of the mean probability, given images of noise."""
    import torch

    size = subject.config.image_size
    noise = torch.Generator().manual_seed(_SEED_OF_NOISE)
    shape = (pictures, 3, size, size)
    # In the network's own units, in which pixels have mean 0 and variance 1.
    images = torch.randn(shape, generator=noise).to(subject.device)
    found = [
        np.concatenate(
            [
                _log_likelihoods(subject, image[None], part)
                for part in torch.split(tokens_NT, _PAIRS_AT_ONCE)
            ]
        )
        for image in images
    ]
    log_sums: Scores = np.logaddexp.reduce(found)
    log_means: Scores = log_sums - np.log(np.float32(pictures))
    return log_means


def _log_likelihoods(subject: "Subject", inputs: "Tensor", tokens_NT: "Tensor") -> Scores:
    """log p of each caption (N,) given its image; captions are of images in order."""
    likelihood: Any = subject.network.caption_log_likelihood
    with subject.computing():
        return as_array(likelihood(inputs, tokens_NT))
