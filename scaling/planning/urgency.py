"""Trials that could start, and the most urgent of them that takes at most so long."""

from collections.abc import Container, Sequence
from heapq import heappop, heappush
from math import inf
from sys import float_info, maxsize
from typing import ClassVar


class Ready:
    """Numbers of trials, the lowest the most urgent.

    A heap, until somebody asks for what takes at most so long: from then on a tournament, in which
    each node of a binary tree holds the shortest seconds of what is below it.
    """

    NONE: ClassVar[int] = maxsize
    """Later than any trial."""

    def __init__(
        self, numbers: Sequence[int], seconds: Sequence[float], waiting: Container[int]
    ) -> None:
        """All of `numbers`, ascending, that are not `waiting`; `seconds` is by number."""
        self._numbers = numbers
        self._seconds = seconds
        self._heap = [n for n in numbers if n not in waiting]
        self._shortest: list[float] = []
        self._leaf: dict[int, int] = {}

    def first(self) -> int:
        """The most urgent of all, or `NONE`."""
        if self._shortest:
            return self.first_within(float_info.max)
        return self._heap[0] if self._heap else self.NONE

    def first_within(self, seconds: float) -> int:
        """The most urgent that takes at most so long, or `NONE`."""
        if not self._shortest:
            self._build()
        shortest, node, leaves = self._shortest, 1, len(self._shortest) // 2
        if shortest[1] > seconds:
            return self.NONE
        while node < leaves:
            node *= 2
            if shortest[node] > seconds:
                node += 1
        return self._numbers[node - leaves]

    def add(self, n: int) -> None:
        """Let a trial start."""
        if self._shortest:
            self._set(n, self._seconds[n])
        else:
            heappush(self._heap, n)

    def remove(self, n: int) -> None:
        """Take out a trial that starts: one that was just said to be the first."""
        if self._shortest:
            self._set(n, inf)
        else:
            heappop(self._heap)

    def _build(self) -> None:
        leaves = 1 << max(0, len(self._numbers) - 1).bit_length()
        self._leaf = {n: leaves + leaf for leaf, n in enumerate(self._numbers)}
        self._shortest = [inf] * (2 * leaves)
        for n in self._heap:
            self._shortest[self._leaf[n]] = self._seconds[n]
        for node in range(leaves - 1, 0, -1):
            self._shortest[node] = min(self._shortest[2 * node : 2 * node + 2])

    def _set(self, n: int, seconds: float) -> None:
        shortest, node = self._shortest, self._leaf[n]
        shortest[node] = seconds
        while node > 1:
            node //= 2
            least = min(shortest[2 * node], shortest[2 * node + 1])
            if shortest[node] == least:
                return
            shortest[node] = least
