"""A store that cannot be written for a while: nothing starts, nothing is lost, nobody dies of it.

Attempts go on meanwhile. What they find is in their journals, and waits to be recorded.
"""

import logging
import time

from scaling.orchestrator.stopping import StopRequest
from scaling.store import UnavailableError

logger = logging.getLogger(__name__)

_SECONDS_BETWEEN_TRIES = 0.5
_SECONDS_BETWEEN_WORDS = 60.0


class Waiting:
    """For `Store.when_unavailable`: wait and try again, unless somebody asks to stop."""

    def __init__(self, stop: StopRequest) -> None:
        """All is well."""
        self._stop = stop
        self._said = -_SECONDS_BETWEEN_WORDS

    def __call__(self, error: UnavailableError) -> bool:
        """Wait a moment; whether to try again."""
        if self._stop.is_made:
            return False
        if time.monotonic() - self._said > _SECONDS_BETWEEN_WORDS:
            self._said = time.monotonic()
            logger.warning(
                "%s; nothing starts until this can be written again; what runs goes on, and keeps "
                "its results in its journals",
                error,
            )
        time.sleep(_SECONDS_BETWEEN_TRIES)
        return True
