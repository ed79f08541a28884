"""A disk without room for a while: what is written is tried again, and nothing trained is lost."""

import time
from collections.abc import Callable, Generator
from typing import TypeVar

from scaling.errors import NoRoomError
from scaling.trial import Progress

T = TypeVar("T")

MOST_SECONDS = 60.0
"""After that the attempt ends: it occupies a GPU, and the driver can wait without one."""

_FIRST_SECONDS, _LONGEST_SECONDS = 0.5, 5.0
"""Between tries; doubled with each."""


def once_there_is_room(
    write: Callable[[], T], report: Callable[[], Progress]
) -> Generator[Progress, None, T]:
    """What `write` returns, tried again while it finds no room; a `report` before each wait.

    Raises its `NoRoomError` if there has been no room for `MOST_SECONDS`.
    """
    until = time.monotonic() + MOST_SECONDS
    seconds = _FIRST_SECONDS
    while True:
        try:
            return write()
        except NoRoomError:
            left = until - time.monotonic()
            if left <= 0:
                raise
        # Not silent, so that waiting is not taken for hanging.
        yield report()
        time.sleep(min(seconds, left))
        seconds = min(2 * seconds, _LONGEST_SECONDS)
