"""A trial's own random numbers, whatever else draws numbers in the same process."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


class RandomState:
    """torch's generators as this trial left them, put in place only while it computes."""

    def __init__(self, seed: int, device: torch.device) -> None:
        """Start from `seed`."""
        self._device = device
        with self._restored():
            torch.manual_seed(seed)
            self._states = self._capture()

    @contextmanager
    def active(self) -> Iterator[None]:
        """Draw from this state within; the rest of the process does not notice."""
        with self._restored():
            self._install(self._states)
            yield
            self._states = self._capture()

    def state_dict(self) -> dict[str, Tensor]:
        """The state, as bytes in tensors."""
        return dict(self._states)

    def load_state_dict(self, states: dict[str, Tensor]) -> None:
        """Continue from a `state_dict`; one from the CPU leaves the GPU's seed in place."""
        self._states = {**self._states, **{name: state.cpu() for name, state in states.items()}}

    @contextmanager
    def _restored(self) -> Iterator[None]:
        outside = self._capture()
        try:
            yield
        finally:
            self._install(outside)

    def _capture(self) -> dict[str, Tensor]:
        states = {"cpu": torch.get_rng_state()}
        if self._device.type == "cuda":
            states["cuda"] = torch.cuda.get_rng_state(self._device)
        return states

    def _install(self, states: dict[str, Tensor]) -> None:
        torch.set_rng_state(states["cpu"])
        if self._device.type == "cuda":
            torch.cuda.set_rng_state(states["cuda"], self._device)
