"""Cross-entropy over the vocabulary without the logits of more than a few rows at a time.

The logits of a batch, B x T x V, are by far the largest tensor of a captioner: 512 captions of 76
tokens over CLIP's 49,408 words are 7.7 GB in fp32, and their gradient is as large. Here the head
and the cross-entropy are one operation that goes through the rows in chunks. Since the gradient of
a cross-entropy is known as soon as its logits are (softmax minus one-hot), the gradients of the
hidden states and of the head are found chunk by chunk in the forward pass; what is kept for the
backward pass has their size, and nothing is computed twice.

The idea is that of Wijmans et al. 2024 (arXiv:2411.09009) and of Liger Kernel (Hsu et al. 2024,
arXiv:2410.10989), whose kernels are for GPUs; this is plain torch and runs anywhere.

Shapes: N rows (tokens), W width of the decoder, V vocabulary.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

LOGITS_AT_ONCE = 2**25
"""Logits in one chunk: 128 MiB in fp32, 679 rows over CLIP's vocabulary."""


def summed_cross_entropy(hidden_NW: Tensor, head_WV: Tensor, targets_N: Tensor) -> Tensor:
    """The sum () of -log softmax(hidden @ head) at the targets; a target below 0 does not count.

    Products are in autocast's precision where it is on, the softmax and all sums in fp32 (fp64
    stays). The gradient of the head is summed over chunks in the head's own precision.
    """
    needs_gradient = torch.is_grad_enabled() and (hidden_NW.requires_grad or head_WV.requires_grad)
    loss: Tensor = _SummedCrossEntropy.apply(
        hidden_NW, head_WV, targets_N, _product_dtype(hidden_NW), needs_gradient
    )
    return loss


def log_likelihoods(hidden_NW: Tensor, head_WV: Tensor, targets_N: Tensor) -> Tensor:
    """log softmax(hidden @ head) at each target (N,), 0 where a target is below 0; no gradient."""
    dtype = _product_dtype(hidden_NW)
    found = torch.zeros(len(targets_N), dtype=_sum_dtype(dtype), device=hidden_NW.device)
    with torch.no_grad(), _no_autocast(hidden_NW):
        head = head_WV.to(dtype)
        for rows in _chunks(len(targets_N), head.shape[1]):
            found[rows], _ = _chosen(hidden_NW[rows].to(dtype) @ head, targets_N[rows])
    return found


class _SummedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden_NW: Tensor,
        head_WV: Tensor,
        targets_N: Tensor,
        dtype: torch.dtype,
        needs_gradient: bool,
    ) -> Tensor:
        with _no_autocast(hidden_NW):
            hidden, head = hidden_NW.to(dtype), head_WV.to(dtype)
            total = torch.zeros((), dtype=_sum_dtype(dtype), device=hidden.device)
            if needs_gradient:
                d_hidden, d_head = torch.empty_like(hidden_NW), torch.zeros_like(head_WV)
            for rows in _chunks(len(hidden), head.shape[1]):
                targets_n = targets_N[rows]
                chosen_n, log_p_nV = _chosen(hidden[rows] @ head, targets_n)
                total -= chosen_n.sum()
                if not needs_gradient:
                    continue
                counts_n1 = (targets_n >= 0)[:, None].to(dtype)
                p_nV = log_p_nV.exp_()
                p_nV.scatter_add_(
                    1, targets_n.clamp(min=0)[:, None], -torch.ones_like(p_nV[:, :1])
                )
                d_logits_nV = p_nV.to(dtype)
                d_hidden[rows] = counts_n1 * (d_logits_nV @ head.T)
                _add_product(d_head, (counts_n1 * hidden[rows]).T, d_logits_nV)
        if needs_gradient:
            ctx.save_for_backward(d_hidden, d_head)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        d_hidden, d_head = ctx.saved_tensors
        return gradient * d_hidden, gradient * d_head, None, None, None


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """In place where precisions allow it: a temporary of the head's size costs time and memory."""
    if total.dtype == left.dtype:
        total.addmm_(left, right)
    else:
        total += left @ right


def _chosen(logits_nV: Tensor, targets_n: Tensor) -> tuple[Tensor, Tensor]:
    """log p of each target, 0 where it does not count, and of all words."""
    log_p_nV = logits_nV.log_softmax(1, dtype=_sum_dtype(logits_nV.dtype))
    chosen_n = log_p_nV.gather(1, targets_n.clamp(min=0)[:, None])[:, 0]
    return chosen_n * (targets_n >= 0), log_p_nV


def _chunks(rows: int, vocabulary: int) -> Iterator[slice]:
    size = max(1, LOGITS_AT_ONCE // vocabulary)
    return (slice(first, min(first + size, rows)) for first in range(0, rows, size))


def _product_dtype(tensor: Tensor) -> torch.dtype:
    kind = tensor.device.type
    if kind != "meta" and torch.is_autocast_enabled(kind):
        return torch.get_autocast_dtype(kind)
    return tensor.dtype


def _sum_dtype(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype == torch.float64 else torch.float32


def _no_autocast(tensor: Tensor) -> torch.autocast:
    kind = tensor.device.type
    return torch.autocast("cpu" if kind == "meta" else kind, enabled=False)
