"""Batches that are read while the step before them is computed."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from scaling.datasets._cores import cores

T = TypeVar("T")

_AHEAD = 3
"""Batches held ready: enough to bridge the reading of a shard's index."""


class ReadAhead(Generic[T]):
    """What `read(position)` gives at evenly spaced positions, read in a thread before it is asked.

    Reading is by position, so that results do not depend on what was read ahead; nothing at or
    beyond `until` is read. One thread reads, batch after batch: `read` may use others itself, and
    is never called twice at once. Where this process has one core, nothing is read ahead, for the
    thread would take the core from the step.
    """

    def __init__(
        self, read: Callable[[int], T], *, step: int, until: int, ahead: int | None = None
    ) -> None:
        """`step` is the distance of positions; `ahead` how many are read before they are asked."""
        self._read = read
        self._step = step
        self._until = until
        self._ahead = (_AHEAD if cores() > 1 else 0) if ahead is None else ahead
        # Its thread ends with the last reference to it.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="read-ahead")
        self._pending: dict[int, Future[T]] = {}

    def at(self, position: int) -> T:
        """`read(position)`; raises what that raised."""
        if not self._ahead:
            return self._read(position)
        ready = self._pending.pop(position, None) or self._submit(position)
        last = min(position + self._ahead * self._step, self._until - 1)
        for later in range(position + self._step, last + 1, self._step):
            if later not in self._pending:
                self._pending[later] = self._submit(later)
        return ready.result()

    def close(self) -> None:
        """Read nothing more; waits for what is being read."""
        self._thread.shutdown(cancel_futures=True)

    def _submit(self, position: int) -> "Future[T]":
        return self._thread.submit(self._read, position)
