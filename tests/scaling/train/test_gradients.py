"""The gradient of a batch does not depend on how it is computed."""

import pytest
import torch
from small_batches import RECIPE, batch_of, network_of
from torch import Tensor

from scaling.families import FAMILIES, Family
from scaling.train.gradients import Gradients


@pytest.fixture(params=FAMILIES.names())
def family(request: pytest.FixtureRequest) -> Family:
    return FAMILIES.get(request.param)


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
