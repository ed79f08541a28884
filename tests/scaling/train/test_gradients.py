"""The gradient of a batch does not depend on how it is computed."""

import pytest
import torch
from torch import Tensor, nn

from scaling.families import FAMILIES, Family
from scaling.train.gradients import Batch, Gradients
from scaling.trial import Recipe

MODEL = "tiny-a"
ROWS = 12
RECIPE = Recipe(batch_size=ROWS, learning_rate=1e-3, warmup_samples=ROWS, caption_loss_weight=2.0)


@pytest.fixture(params=FAMILIES.names())
def family(request: pytest.FixtureRequest) -> Family:
    return FAMILIES.get(request.param)


def network_of(family: Family) -> nn.Module:
    """In double precision, and away from the symmetric start."""
    torch.manual_seed(0)
    network = family.build(MODEL).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    return network


def batch_of(family: Family) -> Batch:
    """Captions of unequal length, so that tokens differ between micro-batches."""
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


def gradient(family: Family, micro_batch_size: int | None) -> tuple[dict[str, Tensor], Tensor]:
    network = network_of(family)
    terms = Gradients(family, RECIPE).backward(network, batch_of(family), micro_batch_size)
    found = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    return found, torch.stack(list(terms.values()))


@pytest.mark.parametrize("micro_batch_size", [6, 5, 1])
def test_micro_batches_give_the_gradient_of_the_whole(
    family: Family, micro_batch_size: int
) -> None:
    whole, terms = gradient(family, None)

    parts, same_terms = gradient(family, micro_batch_size)

    assert parts.keys() == whole.keys()
    for name, expected in whole.items():
        torch.testing.assert_close(parts[name], expected, rtol=1e-9, atol=1e-12, msg=name)
    torch.testing.assert_close(same_terms, terms, rtol=1e-12, atol=0)
