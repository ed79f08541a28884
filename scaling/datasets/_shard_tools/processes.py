"""A function of one shard, for many shards, in several processes."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from scaling.errors import ResourceError

T = TypeVar("T")
R = TypeVar("R")


def in_processes(function: Callable[[T], R], items: Sequence[T], workers: int) -> Iterator[R]:
    """`function` of each of `items`, in the order in which they are done.

    With one worker everything happens in this process. Raises what the first failure raised, and
    `ResourceError` if a process died.
    """
    workers = min(workers, len(items))
    if workers <= 1:
        yield from map(function, items)
        return
    # Not forked: threads of this process may hold locks.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_set_up)
    others = set(multiprocessing.active_children())
    try:
        for done in as_completed([pool.submit(function, item) for item in items]):
            yield done.result()
    except BrokenProcessPool as error:
        raise ResourceError(
            "a worker process died, of lack of memory perhaps; try fewer --workers"
        ) from error
    except BaseException:
        # What is being done is not waited for: shards appear whole or not at all.
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _set_up() -> None:
    """Leave Ctrl-C to the parent, and end when it does, however that comes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
