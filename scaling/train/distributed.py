"""Processes that train one trial together: how they meet and wait for each other."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
from torch import distributed

from scaling.families import World

STEP_TIMEOUT = timedelta(minutes=30)
"""How long a process waits for another within a step: a slow disk yes, a lost process no."""
STOP_TIMEOUT = timedelta(days=30)
"""How long the others wait while one process saves and evaluates."""


@contextmanager
def joined(world: World, init_method: str, device: torch.device) -> Iterator[None]:
    """Within, this process is `world.rank` of those that meet at `init_method`.

    `init_method` is 'tcp://host:port' or 'file:///path' as `torch.distributed` takes it. Processes
    talk through NCCL if `device` is a GPU, else through gloo. After an exception the group stays
    until the process ends: those that lose a partner fail too, and their failure must not be told
    before the one that caused it.
    """
    # open_clip 3.3's losses gather with a function that torch 2.15 calls deprecated.
    warnings.filterwarnings("ignore", category=FutureWarning, module="open_clip.loss")
    on_gpu = device.type == "cuda"
    if on_gpu:
        torch.cuda.set_device(device)
    distributed.init_process_group(
        "nccl" if on_gpu else "gloo",
        init_method=init_method,
        rank=world.rank,
        world_size=world.size,
        timeout=STEP_TIMEOUT,
    )
    yield
    distributed.destroy_process_group()


class Meeting:
    """Where processes wait for each other, for as long as one of them saves or evaluates."""

    def __init__(self, world: World) -> None:
        """All processes of `world` make it together."""
        # gloo for GPUs too: NCCL gives up on a collective that takes long.
        self._group: Any = (
            distributed.new_group(backend="gloo", timeout=STOP_TIMEOUT) if world.size > 1 else None
        )

    @property
    def is_alone(self) -> bool:
        """Whether there is one process only."""
        return self._group is None

    def any(self, flag: bool) -> bool:
        """Whether `flag` is true in any of the processes, which all call this."""
        if self._group is None:
            return flag
        votes = torch.tensor(int(flag))
        distributed.all_reduce(votes, distributed.ReduceOp.MAX, group=self._group)
        return bool(votes.item())

    def wait(self) -> None:
        """Return when every process has called this."""
        if self._group is not None:
            distributed.barrier(self._group)
