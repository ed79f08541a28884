"""Captions without their padding: what a text tower must read and a captioner must say.

In a causal tower no token sees what follows it, so that padding after the end token changes
nothing before it, and positions that only padding occupies need not be computed. Dropping them is
exact for CLIP's text tower, for CoCa's, and for every captioning pass; it changes the last bits of
results, because matrix products of other shapes add up in another order. It is not exact where
padding is attended to (MaMMUT's published text feature).

Lengths go up in steps of 8: fewer shapes for `torch.compile`, and what tensor cores like. Finding
the length waits for a GPU, once a forward pass and at its beginning, where there is little to wait
for.

Shapes: B captions, T tokens, N tokens to be predicted.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from scaling.families._caption_loss import log_likelihoods, summed_cross_entropy
from scaling.families._tokenizers import PAD_ID

LENGTH_STEP = 8


@torch.compiler.disable  # type: ignore[untyped-decorator]  # its result has a shape of its own
def without_padding(tokens_BT: Tensor, beyond: int = 0) -> Tensor:
    """Tokens up to the longest caption and `beyond` more, rounded up to `LENGTH_STEP`.

    A caption ends with its last token that is not padding: id 0 within it may be a word.
    """
    positions = torch.arange(1, tokens_BT.shape[1] + 1, device=tokens_BT.device)
    longest = int((positions * (tokens_BT != PAD_ID)).max()) + beyond
    return tokens_BT[:, : -(-longest // LENGTH_STEP) * LENGTH_STEP]


def within_caption(tokens_BT: Tensor) -> Tensor:
    """Whether each token (B, T) belongs to its caption: not padding, or followed by a word."""
    return (tokens_BT != PAD_ID).flip(1).cumsum(1).flip(1) > 0


class Targets(NamedTuple):
    """The tokens that a captioner must say, and where it says them."""

    ids_N: Tensor
    """Negative where there is nothing to say."""
    rows_N: Tensor | None
    """Their places among the B x T outputs; None if they are all of these in order."""

    @classmethod
    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def of(cls, tokens_BT: Tensor, *, drop_padding: bool) -> "Targets":
        """Every token after the first that is not padding."""
        ids = tokens_BT[:, 1:].flatten()
        ids = ids.masked_fill(ids == PAD_ID, -1)
        if not drop_padding:
            return cls(ids, None)
        rows = (ids >= 0).nonzero()[:, 0]
        return cls(ids[rows], rows)

    def _hidden(self, hidden_BTW: Tensor) -> Tensor:
        hidden = hidden_BTW.flatten(0, 1)
        return hidden if self.rows_N is None else hidden.index_select(0, self.rows_N)

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # N differs from batch to batch
    def loss(self, hidden_BTW: Tensor, head_WV: Tensor) -> Tensor:
        """Cross-entropy in fp32, summed over the targets."""
        return summed_cross_entropy(self._hidden(hidden_BTW), head_WV, self.ids_N)

    def log_likelihoods(self, hidden_BTW: Tensor, head_WV: Tensor) -> Tensor:
        """log p of each caption (B,): the sum over its targets."""
        of_tokens = log_likelihoods(self._hidden(hidden_BTW), head_WV, self.ids_N)
        count, length = hidden_BTW.shape[:2]
        rows = torch.arange(count * length, device=of_tokens.device)
        rows = rows if self.rows_N is None else self.rows_N
        return of_tokens.new_zeros(count).index_add_(0, rows // length, of_tokens)
