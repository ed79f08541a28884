"""The worker: a generator that brings a trial to its stops and yields what it finds.

Importing this package does not import torch; calling `train` does.
"""

from collections.abc import Iterator

from scaling.train.failures import CheckpointError, Diverged
from scaling.train.journal import read_journal
from scaling.trial import Event, Work

__all__ = ["CheckpointError", "Diverged", "read_journal", "train"]


def train(work: Work, *, device: str | None = None) -> Iterator[Event]:
    """See `scaling.train.worker.train`."""
    from scaling.train.worker import train as train_here

    return train_here(work, device=device)
