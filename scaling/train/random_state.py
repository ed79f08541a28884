"""A trial's random numbers, whatever else draws numbers in the same process."""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b

import torch
from torch import Tensor


@contextmanager
def drawing_from(seed: int, device: torch.device) -> Iterator[None]:
    """torch's numbers within come from `seed`; the rest of the process does not notice."""
    outside = _capture(device)
    try:
        torch.manual_seed(seed)
        yield
    finally:
        _install(outside, device)


def step_seed(seed: int, samples_seen: int, rank: int) -> int:
    """The seed of one step on one process of a trial.

    Random numbers are a function of position, as data are: there is no state to save or to
    continue, and processes that compute different rows draw different numbers.
    """
    key = f"{seed}/{samples_seen}/{rank}".encode()
    return int.from_bytes(blake2b(key, digest_size=7).digest(), "big")


def _capture(device: torch.device) -> dict[str, Tensor]:
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def _install(states: dict[str, Tensor], device: torch.device) -> None:
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states["cuda"], device)
