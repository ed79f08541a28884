"""The cores of this process, and rows of a batch read on all of them.

Pillow lets go of the interpreter lock while it decodes and resizes, so that threads are enough.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

_ROWS_AT_ONCE = 8
"""Rows that a thread takes at a time: few enough to share a batch out evenly."""


def cores() -> int:
    """Cores for this process: OMP_NUM_THREADS (Ray sets it to the CPUs of a trial), or all."""
    stated = os.environ.get("OMP_NUM_THREADS", "")
    if stated.isdigit() and int(stated):
        return int(stated)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_threads(call: Callable[[int], None], rows: Sequence[int]) -> None:
    """`call` for each of `rows`, in any order; raises what the first of them raises."""
    pool = _pool(cores())
    if pool is None:
        for row in rows:
            call(row)
        return

    def call_some(start: int) -> None:
        for row in rows[start : start + _ROWS_AT_ONCE]:
            call(row)

    for _ in pool.map(call_some, range(0, len(rows), _ROWS_AT_ONCE)):
        pass


@cache
def _pool(threads: int) -> ThreadPoolExecutor | None:
    return ThreadPoolExecutor(threads, thread_name_prefix="read") if threads > 1 else None
