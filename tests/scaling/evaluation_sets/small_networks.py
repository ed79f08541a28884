"""A network that reads all of CLIP's words, as the tiny ones of the embedded study do not."""

import torch
from torch.nn.functional import normalize

from scaling.families._towers import ModelConfig

CONFIG = ModelConfig(image_size=8)


class WordsAndColours(torch.nn.Module):
    """Random projections of pixels, and of counts of tokens."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.pixels = torch.nn.Linear(3 * CONFIG.image_size**2, width)
        self.tokens = torch.nn.EmbeddingBag(CONFIG.vocab_size, width)

    def encode_image(self, images: torch.Tensor) -> torch.Tensor:
        return normalize(self.pixels(images.flatten(1)), dim=-1)

    def encode_text(self, tokens: torch.Tensor) -> torch.Tensor:
        return normalize(self.tokens(tokens), dim=-1)
