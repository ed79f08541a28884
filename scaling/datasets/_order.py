"""In which order a finite set of samples is seen: in shuffled passes, or with replacement."""

import threading
from bisect import bisect_right
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scaling.errors import DataError


class Place(NamedTuple):
    """Which sample is seen."""

    part: int
    row: int
    """Its number within the part."""
    epoch: int
    """The pass in which it is seen, from 0."""


class Passes:
    """An endless sequence over a set that comes in parts (shards, blocks).

    Every pass goes through all parts in an order of its own, and through the samples of each part
    in an order of its own, as loaders of sharded sets do, so that reading stays local. The order
    is a function of (seed, position). A part's size is asked for when it is first needed, so the
    beginning of a large set can be read before the rest of it was looked at.
    """

    def __init__(
        self, parts: int, size_of: Callable[[int], int], seed: int | tuple[int, ...]
    ) -> None:
        """`size_of(part)` is the number of samples of a part."""
        self._parts = parts
        self._size_of = size_of
        self._seed = seed if isinstance(seed, tuple) else (seed,)
        self._lock = threading.Lock()
        self._ends: list[int] = []
        """Position after each visit of a part, pass after pass."""

    def locate(self, position: int) -> Place:
        """What is seen at `position`; may be asked from several threads."""
        with self._lock:
            while not self._ends or self._ends[-1] <= position:
                self._visit_next_part()
            visit = bisect_right(self._ends, position)
            first = self._ends[visit - 1] if visit else 0
        epoch, part = self._visited(visit)
        order = _permutation((*self._seed, epoch, 1 + part), self._size_of(part))
        return Place(part, int(order[position - first]), epoch)

    def _visit_next_part(self) -> None:
        visit = len(self._ends)
        _, part = self._visited(visit)
        before = self._ends[-1] if self._ends else 0
        self._ends.append(before + self._size_of(part))
        if visit + 1 >= self._parts and self._ends[-1] == 0:
            raise DataError(f"no sample in {self._parts} shards")

    def _visited(self, visit: int) -> tuple[int, int]:
        """Epoch and part of a visit."""
        epoch, rank = divmod(visit, self._parts)
        return epoch, int(_permutation((*self._seed, epoch, 0), self._parts)[rank])


class Draws(Passes):
    """An endless sequence for which parts are drawn uniformly, with replacement.

    Each draw goes through the whole part, in an order of its own. An epoch is one draw.
    """

    def _visit_next_part(self) -> None:
        visit = len(self._ends)
        # A part that is drawn may be empty; that all are is known once each was looked at.
        if visit and visit % self._parts == 0 and self._ends[-1] == 0:
            sizes = map(self._size_of, range(self._parts))
            if not any(sizes):
                raise DataError(f"no sample in {self._parts} shards")
        _, part = self._visited(visit)
        before = self._ends[-1] if self._ends else 0
        self._ends.append(before + self._size_of(part))

    def _visited(self, visit: int) -> tuple[int, int]:
        """See `Passes._visited`."""
        block, within = divmod(visit, _DRAWN_AT_ONCE)
        return visit, int(_drawn((*self._seed, block, 0), self._parts)[within])


_DRAWN_AT_ONCE = 1024


@lru_cache(maxsize=512)
def _permutation(entropy: tuple[int, ...], length: int) -> NDArray[np.int64]:
    """Entropy: (*seed, epoch, purpose), 0 for the parts themselves, 1 + n for a part's rows."""
    return _generator(entropy).permutation(length)


@lru_cache(maxsize=512)
def _drawn(entropy: tuple[int, ...], parts: int) -> NDArray[np.int64]:
    return _generator(entropy).integers(parts, size=_DRAWN_AT_ONCE)


def _generator(entropy: tuple[int, ...]) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy)))
