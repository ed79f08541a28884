"""In which order a finite set of samples is seen: one shuffled pass after another."""

from bisect import bisect_right
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from scaling.errors import DataError


class Passes:
    """An endless sequence over a set that comes in parts (shards, blocks).

    Every pass goes through all parts in an order of its own, and through the samples of each part
    in an order of its own, as loaders of sharded sets do, so that reading stays local. The order
    is a function of (seed, position). A part's size is asked for when it is first needed, so the
    beginning of a large set can be read before the rest of it was looked at.
    """

    def __init__(self, parts: int, size_of: Callable[[int], int], seed: int) -> None:
        """`size_of(part)` is the number of samples of a part."""
        self._parts = parts
        self._size_of = size_of
        self._seed = seed
        self._ends: list[int] = []
        """Position after each visit of a part, pass after pass."""

    def locate(self, position: int) -> tuple[int, int]:
        """Part and sample within it that are seen at `position`."""
        while not self._ends or self._ends[-1] <= position:
            self._visit_next_part()
        visit = bisect_right(self._ends, position)
        epoch, part = self._visited(visit)
        first = self._ends[visit - 1] if visit else 0
        order = _permutation(self._seed, epoch, 1 + part, self._size_of(part))
        return part, int(order[position - first])

    def _visit_next_part(self) -> None:
        visit = len(self._ends)
        _, part = self._visited(visit)
        before = self._ends[-1] if self._ends else 0
        self._ends.append(before + self._size_of(part))
        if visit + 1 == self._parts and self._ends[-1] == 0:
            raise DataError(f"no sample in {self._parts} shards")

    def _visited(self, visit: int) -> tuple[int, int]:
        epoch, rank = divmod(visit, self._parts)
        return epoch, int(_permutation(self._seed, epoch, 0, self._parts)[rank])


@lru_cache(maxsize=512)
def _permutation(seed: int, epoch: int, purpose: int, length: int) -> NDArray[np.int64]:
    """Purpose 0 orders the parts themselves, 1 + n what part n holds."""
    entropy = np.random.SeedSequence((seed, epoch, purpose))
    return np.random.Generator(np.random.Philox(entropy)).permutation(length)
