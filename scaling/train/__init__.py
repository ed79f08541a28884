"""The worker: a generator that brings a trial to its stops and yields what it finds.

Importing this package does not import torch; calling `train` does.
"""

from collections.abc import Iterator

from scaling.families import World
from scaling.train.failures import CheckpointError, Diverged, Preempted
from scaling.train.journal import read_journal
from scaling.trial import Event, Work

__all__ = ["CheckpointError", "Diverged", "Preempted", "read_journal", "train"]


def train(
    work: Work,
    *,
    device: str | None = None,
    world: World = World(),  # noqa: B008  # a tuple
    init_method: str | None = None,
) -> Iterator[Event]:
    """See `scaling.train.worker.train`; with `init_method`, `scaling.train.ranks.train_rank`."""
    if init_method is not None:
        from scaling.train.ranks import train_rank

        return train_rank(work, world, init_method, device=device)
    from scaling.train.worker import train as train_here

    return train_here(work, device=device, world=world)
