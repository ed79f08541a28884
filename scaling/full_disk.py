"""A disk without room: known when seen, and survived where what was to be written is no result."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager


def is_full_disk(error: BaseException) -> bool:
    """Whether `error` says that a disk is full or a quota used up."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def doing_without() -> Iterator[None]:
    """Within, a full disk costs what was to be written, and ends nothing else: for logs."""
    try:
        yield
    except OSError as error:
        if not is_full_disk(error):
            raise
