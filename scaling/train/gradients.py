"""The gradient of a global batch, on any number of processes and in micro-batches."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import reduce
from operator import add
from typing import Any, NamedTuple

import torch
from torch import Tensor, distributed, nn

from scaling.families import Family, Outputs, World
from scaling.families._contrastive import upcast
from scaling.trial import Recipe

ALONE = World()
"""One process."""
Precision = Callable[[], AbstractContextManager[Any]]
"""Makes the context that a forward pass runs in."""


class Batch(NamedTuple):
    """The rows of a global batch that one process computes."""

    images: Tensor
    """(R, 3, H, W)."""
    tokens: Tensor
    """(R, T)."""

    def split(self, rows: int) -> "list[Batch]":
        """Micro-batches of so many rows; the last may be smaller."""
        pairs = zip(torch.split(self.images, rows), torch.split(self.tokens, rows), strict=True)
        return [Batch(*pair) for pair in pairs]


class Gradients:
    """Adds the gradient of a step's loss to a network's parameters.

    What each process adds is such that the mean over processes, which DDP and FSDP take, is the
    gradient of one process on the whole batch: a loss over features is a mean over local rows with
    everyone's features gathered; a sum over tokens is divided by the tokens of all processes and
    multiplied by the number of processes.

    In micro-batches, features of all rows are computed first, without a graph, then the gradient
    of the losses over them and over the scalars, and then each micro-batch is computed again with
    a graph that continues those gradients, and with its tokens' loss. So the memory is that of a
    micro-batch and the result that of the whole batch, the logit scale's gradient included, which
    is multiplied by the number of micro-batches where losses are repeated for each of them.
    Source of the two passes: Gao et al. 2021, arXiv:2101.06983.
    """

    def __init__(
        self,
        family: Family,
        recipe: Recipe,
        world: World = ALONE,
        precision: Precision = nullcontext,
    ) -> None:
        """For losses of `family` weighted as by `recipe`, with forward passes in `precision`."""
        self._family = family
        self._weights = family.weights(recipe)
        self._world = world
        self._precision = precision

    def backward(
        self,
        network: nn.Module,
        batch: Batch,
        micro_batch_size: int | None = None,
        scale: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Add the gradient; the weighted loss terms () of the global batch by name, detached.

        The gradient is that of the loss times `scale` ().
        """
        counts = self._everyone(self._family.counts(batch.tokens))
        if micro_batch_size is None or micro_batch_size >= len(batch.images):
            with self._precision():
                outputs = network(*batch)
                terms = self._of_features(outputs.features, outputs.scalars)
                terms |= self._of_sums(outputs.sums, counts)
            torch.autograd.backward(_total(terms), scale)
        else:
            terms = self._in_parts(network, batch.split(micro_batch_size), counts, scale)
        values = self._everyone({name: term.detach() for name, term in terms.items()})
        return {name: value / self._world.size for name, value in values.items()}

    def _in_parts(
        self,
        network: nn.Module,
        parts: list[Batch],
        counts: Mapping[str, Tensor],
        scale: Tensor | None,
    ) -> dict[str, Tensor]:
        random, found = [], []
        for part in parts:
            random.append(_random_state(part.images.device))
            with torch.no_grad(), self._precision():
                found.append(network(*part, captions=False))
        features = {
            name: torch.cat([upcast(one.features[name]) for one in found]).requires_grad_()
            for name in found[0].features
        }
        scalars = {
            name: one.detach().clone().requires_grad_() for name, one in found[0].scalars.items()
        }
        terms = self._of_features(features, scalars)
        if terms:
            torch.autograd.backward(_total(terms))
        first = 0
        for part, state in zip(parts, random, strict=True):
            rows = slice(first, first + len(part.images))
            first, is_last = rows.stop, part is parts[-1]
            _set_random_state(state, part.images.device)
            with _synchronised(network, is_last):
                with self._precision():
                    outputs: Outputs = network(*part)
                of_sums = self._of_sums(outputs.sums, counts)
                through = [
                    (upcast(one) * _gradient(features[name])[rows]).sum()
                    for name, one in outputs.features.items()
                ]
                # Once, and where gradients are synchronised: all of a network takes part there.
                if is_last:
                    through += [
                        one * _gradient(scalars[name]) for name, one in outputs.scalars.items()
                    ]
                torch.autograd.backward(reduce(add, [*through, *of_sums.values()]), scale)
            for name, term in of_sums.items():
                terms[name] = terms.get(name, 0.0) + term.detach()
        return terms

    def _of_features(
        self, features: Mapping[str, Tensor], scalars: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        losses = self._family.batch_losses(features, scalars, self._world)
        return {name: self._weights[name] * loss for name, loss in losses.items()}

    def _of_sums(
        self, sums: Mapping[str, Tensor], counts: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        return {
            name: self._weights[name] * self._world.size * total / counts[name]
            for name, total in sums.items()
        }

    def _everyone(self, numbers: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Sums over processes."""
        if self._world.size == 1 or not numbers:
            return dict(numbers)
        together = torch.stack(list(numbers.values()))
        distributed.all_reduce(together)
        return dict(zip(numbers, together.unbind(), strict=True))


def _total(terms: Mapping[str, Tensor]) -> Tensor:
    return reduce(add, (upcast(term) for term in terms.values()))


def _gradient(leaf: Tensor) -> Tensor:
    return torch.zeros_like(leaf) if leaf.grad is None else leaf.grad


@contextmanager
def _synchronised(network: nn.Module, is_last: bool) -> Iterator[None]:
    """Gradients are exchanged with the last micro-batch, when they are complete."""
    no_sync = getattr(network, "no_sync", nullcontext)
    with nullcontext() if is_last else no_sync():
        yield


def _random_state(device: torch.device) -> Tensor:
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()


def _set_random_state(state: Tensor, device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.set_rng_state(state, device)
    else:
        torch.set_rng_state(state)
