"""Steps that go on where the machine cannot do what was asked: less at once, or not compiled."""

import logging
from collections.abc import Callable
from typing import TypeVar

import torch

from scaling.train.blocks import Blocks
from scaling.trial import Execution, Trial

logger = logging.getLogger(__name__)
T = TypeVar("T")

_FITTED: dict[tuple[object, ...], int] = {}
"""Rows that fitted, by model, type of device and all that bears on memory, in this process."""


class Adapting:
    """Computes steps as an `Execution` asks, and in the nearest way that works where that fails.

    A step that failed is computed again from its start, so that nothing but rounding depends on
    what failed.
    """

    def __init__(self, trial: Trial, execution: Execution, blocks: Blocks, device_type: str):
        """`blocks` are those of the network that steps compute."""
        self._blocks = blocks
        self._key = (trial.family, trial.model, trial.recipe.precision, execution, device_type)
        self._is_auto = execution.micro_batch_size == "auto"
        self._rows = (
            _FITTED.get(self._key)
            if execution.micro_batch_size == "auto"
            else execution.micro_batch_size
        )
        self._has_worked = False
        self._notes: list[str] = []

    def compute(self, step: Callable[[int | None], T], rows: int) -> T:
        """What `step` returns, given the size of micro-batches, for a batch of `rows`.

        It is called again with half the size after a GPU's memory was exceeded, if the size is
        `auto`, and without compiled blocks after these failed.
        """
        while True:
            try:
                result = step(self._rows)
            except Exception as error:
                if not self._has_remedy(error, rows):
                    raise
            else:
                self._has_worked = True
                return result

    def notes(self) -> list[str]:
        """What was found out since the last call, for whoever reads along."""
        notes, self._notes = self._notes, []
        return notes

    def _has_remedy(self, error: Exception, rows: int) -> bool:
        if isinstance(error, torch.OutOfMemoryError):
            return self._shrink(rows)
        # In the first step whatever happens may come of compiling: if it does not, it comes again.
        is_of_compiler = isinstance(error, torch._dynamo.exc.TorchDynamoException)
        if not self._blocks.are_compiled or (self._has_worked and not is_of_compiler):
            return False
        self._blocks.do_not_compile()
        reason = (str(error).strip() or "no message").splitlines()[0]
        self._say(f"torch.compile failed, going on without: {type(error).__name__}: {reason}")
        return True

    def _shrink(self, rows: int) -> bool:
        tried = min(self._rows or rows, rows)
        if not self._is_auto or tried == 1:
            return False
        self._rows = _FITTED[self._key] = (tried + 1) // 2
        self._say(f"{tried} rows exceed the memory, going on with micro-batches of {self._rows}")
        return True

    def _say(self, note: str) -> None:
        logger.warning(note)
        self._notes.append(note)
