"""One of the processes that train a trial together."""

from collections.abc import Iterator

import torch

from scaling.families import World
from scaling.train.distributed import joined
from scaling.train.worker import train
from scaling.trial import Event, Work


def train_rank(
    work: Work, world: World, init_method: str, *, device: str | None = None
) -> Iterator[Event]:
    """Be process `world.rank` of the `world.size` that do `work`; see `train` and `joined`.

    Whoever starts processes gives each the same `work` and `init_method`, shows each only the GPU
    that is its own (`CUDA_VISIBLE_DEVICES`), and ends all of them when one has failed.
    """
    where = device or ("cuda" if torch.cuda.is_available() else "cpu")
    with joined(world, init_method, torch.device(where)):
        yield from train(work, device=where, world=world)
