"""How a network's transformer blocks compute: compiled, recomputed in the backward pass, or not.

Both replace the `forward` of blocks and nothing else, so that names of weights stay, hooks of DDP
and FSDP2 stay outside, and compiling takes as long for 48 blocks as for one of each kind.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

Context = Callable[[], AbstractContextManager[Any]]

BACKEND = "inductor"
"""What `torch.compile` uses, by the name under which torch knows it."""

_VERSIONS = 128


def transformer_blocks(network: nn.Module) -> Iterator[nn.Module]:
    """The blocks of open_clip and timm in `network`, each once."""
    from open_clip.transformer import CustomResidualAttentionBlock, ResidualAttentionBlock
    from timm.models.vision_transformer import Block

    kinds = (ResidualAttentionBlock, CustomResidualAttentionBlock, Block)
    return (module for module in network.modules() if isinstance(module, kinds))


class Blocks:
    """The blocks of one network in training; evaluation computes them as they were written."""

    def __init__(
        self, network: nn.Module, *, compiled: bool, recomputed: bool, precision: Context
    ) -> None:
        """Replace `forward` in place; `precision` makes the context of forward passes."""
        self._blocks = [
            _Block(module, recomputed=recomputed, precision=precision)
            for module in transformer_blocks(network)
            if compiled or recomputed
        ]
        self.are_compiled = compiled
        if compiled:
            # torch counts versions of a function's code, which is the same for all blocks: of each
            # tower, with and without mask and gradient, for each length of trimmed captions.
            torch._dynamo.config.recompile_limit = _VERSIONS
            for block in self._blocks:
                block.compile()

    def do_not_compile(self) -> None:
        """Compute as it is written from now on."""
        self.are_compiled = False
        for block in self._blocks:
            block.training_forward = block.written_forward


class _Block:
    def __init__(self, module: nn.Module, *, recomputed: bool, precision: Context) -> None:
        self.module = module
        self.written_forward = self.training_forward = module.forward
        self.recomputed = recomputed
        self.precision = precision
        module.forward = self

    def compile(self) -> None:
        self.training_forward = torch.compile(self.written_forward, backend=BACKEND, dynamic=False)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not self.module.training:
            return self.written_forward(*args, **kwargs)
        if not (self.recomputed and torch.is_grad_enabled()):
            return self.training_forward(*args, **kwargs)
        # Not the reentrant kind: with it and DDP, a block that is used twice in a forward pass,
        # as MaMMUT's are, is an error.
        return checkpoint(
            self.training_forward,
            *args,
            use_reentrant=False,
            context_fn=self._contexts,
            **kwargs,
        )

    def _contexts(self) -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
        """For the pass now, which is in a context already, and for the second one."""
        return nullcontext(), self.precision()
