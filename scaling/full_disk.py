"""A disk without room: known when seen, and survived where what was to be written is no result."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager


def is_full_disk(error: BaseException) -> bool:
    """Whether `error` says that a disk is full or a quota used up."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def bytes_wanted_for(checkpoint_bytes: int) -> int:
    """What should be free before a checkpoint is written.

    With 1 MiB for what is no tensor; the factor leaves room for others who write at the same time.
    """
    return int(1.5 * checkpoint_bytes) + 2**20


@contextmanager
def doing_without() -> Iterator[None]:
    """Within, a full disk costs what was to be written, and ends nothing else: for logs."""
    try:
        yield
    except OSError as error:
        if not is_full_disk(error):
            raise
