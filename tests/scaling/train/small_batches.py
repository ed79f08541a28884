"""A network and a batch in double precision, the same in every process."""

import torch
from torch import nn

from scaling.families import Family
from scaling.train.gradients import Batch
from scaling.trial import Recipe

MODEL = "tiny-a"
ROWS = 12
RECIPE = Recipe(batch_size=ROWS, learning_rate=1e-3, warmup_samples=ROWS, caption_loss_weight=2.0)


def network_of(family: Family) -> nn.Module:
    """Away from the symmetric start."""
    torch.manual_seed(0)
    network = family.build(MODEL).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    return network


def batch_of(family: Family) -> Batch:
    """Captions of unequal length, so that tokens differ between micro-batches and processes."""
    config = family.models[MODEL]
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(ROWS, 3, 16, 16, generator=generator, dtype=torch.float64)
    tokens = torch.zeros(ROWS, config.context_length, dtype=torch.int64)
    for row in range(ROWS):
        length = 2 + row % 9
        tokens[row, :length] = torch.randint(
            1, config.vocab_size - 1, (length,), generator=generator
        )
        tokens[row, length] = config.vocab_size - 1
    return Batch(images, tokens)
