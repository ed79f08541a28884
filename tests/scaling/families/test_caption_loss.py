"""The chunked captioning loss against torch's own cross-entropy."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from scaling.families import _caption_loss
from scaling.families._caption_loss import log_likelihoods, summed_cross_entropy

ROWS, WIDTH, WORDS = 23, 8, 11


@pytest.fixture(params=[1, 5 * WORDS, 10**6], ids=["a row", "5 rows", "all rows"], autouse=True)
def chunk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_caption_loss, "LOGITS_AT_ONCE", request.param)


def inputs(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(ROWS, WIDTH, generator=generator, dtype=dtype, requires_grad=True)
    head = torch.randn(WIDTH, WORDS, generator=generator, dtype=dtype, requires_grad=True)
    targets = torch.randint(-1, WORDS, (ROWS,), generator=generator)
    assert (targets < 0).any()
    return hidden, head, targets


def whole(hidden: Tensor, head: Tensor, targets: Tensor) -> Tensor:
    """What is to be computed, with all logits at once."""
    return cross_entropy(
        (hidden @ head).to(torch.promote_types(hidden.dtype, torch.float32)),
        targets,
        ignore_index=-1,
        reduction="sum",
    )


def test_loss_and_gradients_are_those_of_torch() -> None:
    hidden, head, targets = inputs()
    expected = whole(hidden, head, targets)
    gradients = torch.autograd.grad(0.7 * expected, (hidden, head))

    loss = summed_cross_entropy(hidden, head, targets)
    found = torch.autograd.grad(0.7 * loss, (hidden, head))

    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=0)
    for one, other in zip(found, gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def test_gradients_are_those_of_finite_differences() -> None:
    hidden, head, targets = inputs()

    assert torch.autograd.gradcheck(
        lambda hidden, head: summed_cross_entropy(hidden, head, targets), (hidden, head)
    )


def test_under_autocast_products_are_in_bf16_and_sums_in_fp32() -> None:
    hidden, head, targets = inputs(torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        expected = whole(hidden, head, targets)
        loss = summed_cross_entropy(hidden, head, targets)
    gradients = torch.autograd.grad(expected, (hidden, head))

    found = torch.autograd.grad(loss, (hidden, head))

    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=0)
    for one, other in zip(found, gradients, strict=True):
        assert one.dtype == torch.float32
        # Plain autograd leaves the gradients that it adds up in bf16, with 8 bits.
        torch.testing.assert_close(one, other, rtol=2e-2, atol=2e-2)


def test_large_logits_do_not_overflow() -> None:
    hidden, head, targets = inputs(torch.float32)
    loss = summed_cross_entropy(1e4 * hidden, head, targets)

    torch.testing.assert_close(loss, whole(1e4 * hidden, head, targets))
    assert math.isfinite(loss.item())


def test_no_row_at_all_is_no_loss() -> None:
    hidden, head, _ = inputs()

    loss = summed_cross_entropy(hidden[:0], head, torch.zeros(0, dtype=torch.int64))
    loss.backward()

    assert loss.item() == 0
    assert head.grad is not None
    assert not head.grad.any()


def test_only_what_needs_a_gradient_gets_one() -> None:
    hidden, head, targets = inputs()

    summed_cross_entropy(hidden, head.detach(), targets).backward()

    assert hidden.grad is not None
    with torch.no_grad():
        assert not summed_cross_entropy(hidden, head, targets).requires_grad


def test_log_likelihoods_sum_to_the_loss() -> None:
    hidden, head, targets = inputs()

    found = log_likelihoods(hidden, head, targets)

    torch.testing.assert_close(-found.sum(), summed_cross_entropy(hidden, head, targets))
    assert (found[targets < 0] == 0).all()
    assert (found[targets >= 0] < 0).all()
