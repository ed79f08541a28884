"""A network in training: everything that a checkpoint holds, in memory, and one step."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from scaling.families import FAMILIES, World
from scaling.train.adapting import Adapting
from scaling.train.blocks import Blocks
from scaling.train.checkpoints import State
from scaling.train.failures import Diverged
from scaling.train.gradients import ALONE, Batch, Gradients
from scaling.train.optimizers import optimizer_for, step_if
from scaling.train.patch_dropout import drop_patches
from scaling.train.precision import LossScale, computing_in
from scaling.train.random_state import drawing_from, step_seed
from scaling.train.sharding import (
    Sharded,
    full_tensor,
    load_network,
    load_optimizer,
    local_part,
    parallel,
    whole,
)
from scaling.trial import Execution, Trial

STEPS_UNTIL_DIVERGED = 3
"""Steps in a row with a loss or gradient that is not finite; such steps change no weight."""

_FORMAT = 1
_MAX_LOGIT_SCALE = math.log(100)


class Session:
    """Network, optimizer and position of a trial, on one of the processes that train it."""

    def __init__(
        self,
        trial: Trial,
        device: torch.device,
        world: World = ALONE,
        execution: Execution = Execution(),  # noqa: B008  # frozen
    ) -> None:
        """Fresh weights from the trial's seed."""
        self.trial = trial
        self.device = device
        self.world = world
        self.family = FAMILIES.get(trial.family)
        recipe = trial.recipe
        with drawing_from(trial.seed, device):
            # Drawn on the CPU, so that a seed means the same weights on every device.
            self.network = self.family.build(trial.model, recipe).to(device)
        drop_patches(self.network, recipe.patch_dropout)
        precision = partial(computing_in, recipe.precision, device)
        blocks = Blocks(
            self.network,
            compiled=execution.compile,
            recomputed=execution.gradient_checkpointing,
            precision=precision,
        )
        self.adapting = Adapting(trial, execution, blocks, device.type)
        self._parallel = parallel(self.network, world, execution.sharding)
        self.optimizer = optimizer_for(self.network, recipe)
        self.loss_scale = LossScale(device) if recipe.precision == "fp16" else None
        self.gradients = Gradients(self.family, recipe, world, precision)
        self.samples_seen = 0
        self.loss = torch.full((), math.nan, device=device)
        self._bad_steps = torch.zeros((), dtype=torch.int64, device=device)
        self._diverged_at = torch.full((), -1, dtype=torch.int64, device=device)

    @property
    def is_sharded(self) -> bool:
        """Whether this process holds a part of the network only."""
        return isinstance(self._parallel, Sharded)

    def step(self, images: Tensor, tokens: Tensor) -> None:
        """One optimizer step on this process's rows of a batch, whose loss is in `loss`, unread.

        Nothing here waits for a GPU but to find the longest caption, before there is much to wait
        for: whether a step was finite is found out, and acted upon, on the device.
        """
        recipe = self.trial.recipe
        for group in self.optimizer.param_groups:
            group["lr"] = self.trial.learning_rate(self.samples_seen)
        batch = Batch(images, tokens)
        terms = self.adapting.compute(partial(self._add_gradients, batch), len(images))
        parameters = [p for p in self.network.parameters() if p.grad is not None]
        if self.loss_scale is not None:
            inverse = 1 / self.loss_scale.value
            for parameter in parameters:
                assert parameter.grad is not None
                local_part(parameter.grad).mul_(inverse)
        norm = full_tensor(
            nn.utils.clip_grad_norm_(
                parameters, math.inf if recipe.grad_clip is None else recipe.grad_clip
            )
        )
        self.samples_seen += recipe.batch_size
        self.loss = torch.stack([term.float() for term in terms.values()]).sum()
        self._update(torch.isfinite(self.loss), torch.isfinite(norm))

    def check(self) -> None:
        """Raise `Diverged` if too many steps in a row were not finite (waits for a GPU)."""
        if self._diverged_at.item() >= 0:
            raise Diverged(int(self._diverged_at.item()), self.loss.item())

    def whole_network(self) -> nn.Module:
        """The network with all of its parameters at rank 0. All processes call this."""
        if not self.is_sharded:
            return self.network
        state = whole(self.network.state_dict())
        if self.world.rank:
            return self.network
        with drawing_from(self.trial.seed, self.device):
            network = self.family.build(self.trial.model, self.trial.recipe)
        network.load_state_dict(state)
        return network.to(self.device)

    @contextmanager
    def evaluating(self, network: nn.Module) -> Iterator[None]:
        """`network` in eval mode; what is computed within leaves no trace in training."""
        devices = [self.device] if self.device.type == "cuda" else []
        network.eval()
        try:
            with torch.random.fork_rng(devices=devices), torch.inference_mode():
                yield
        finally:
            network.train()

    def state(self) -> State:
        """What a checkpoint holds, at rank 0. All processes call this."""
        return {
            "format": _FORMAT,
            "trial": self.trial.id,
            "samples_seen": self.samples_seen,
            "network": whole(self.network.state_dict()),
            "optimizer": whole(self.optimizer.state_dict()),
            "bad_steps": self._bad_steps.item(),
            "loss": self.loss.item(),
            **({"loss_scale": self.loss_scale.state_dict()} if self.loss_scale else {}),
        }

    def restore(self, state: State) -> None:
        """Continue from a `state`."""
        assert state["format"] == _FORMAT, state["format"]
        load_network(self.network, state["network"])
        load_optimizer(self.optimizer, state["optimizer"])
        self.samples_seen = state["samples_seen"]
        self.loss = torch.full_like(self.loss, state["loss"])
        self._bad_steps.fill_(state["bad_steps"])
        if self.loss_scale is not None:
            self.loss_scale.load_state_dict(state["loss_scale"])

    def _add_gradients(self, batch: Batch, micro_batch_size: int | None) -> dict[str, Tensor]:
        """The whole of a step that can fail: called again, it begins again."""
        self.optimizer.zero_grad()
        seed = step_seed(self.trial.seed, self.samples_seen, self.world.rank)
        scale = self.loss_scale.value if self.loss_scale else None
        with drawing_from(seed, self.device):
            return self.gradients.backward(self._parallel, batch, micro_batch_size, scale)

    def _update(self, loss_is_finite: Tensor, gradient_is_finite: Tensor) -> None:
        finite = loss_is_finite & gradient_is_finite
        step_if(finite, self.optimizer)
        bad = ~finite
        if self.loss_scale is not None:
            # A gradient that a smaller scale may make finite says nothing about the trial.
            bad = ~loss_is_finite | (bad & ~self.loss_scale.can_fall)
            self.loss_scale.update(finite)
        self._bad_steps = torch.where(finite, 0, self._bad_steps + bad.long())
        newly = (self._bad_steps >= STEPS_UNTIL_DIVERGED) & (self._diverged_at < 0)
        self._diverged_at = torch.where(newly, self.samples_seen, self._diverged_at)
        logit_scale = getattr(self.network, "logit_scale", None)
        if isinstance(logit_scale, Tensor):
            with torch.no_grad():
                logit_scale.clamp_(0, _MAX_LOGIT_SCALE)
