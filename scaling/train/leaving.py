"""Whether an attempt has to save and stop: somebody asked, or its deadline is near."""

import time

from scaling.train.distributed import Meeting
from scaling.trial import Work

_SECONDS_BETWEEN_LOOKS = 0.2
"""At the file that asks, which may be on a network."""

_STEPS_BETWEEN_VOTES = 8
"""Several processes stop after the same step or wait for each other forever; to agree costs."""

_SECONDS_TO_SAVE = 10.0
"""Before anything was saved."""


class Leaving:
    """Answers between steps, the same in all processes of the attempt."""

    def __init__(self, work: Work, meeting: Meeting) -> None:
        """Nobody asked yet."""
        self._work = work
        self._meeting = meeting
        self._looked = self._asked_at = time.monotonic()
        self._was_asked = work.stop_file.exists()
        self._steps = 0
        self._longest_step = 0.0
        self.seconds_to_save = _SECONDS_TO_SAVE
        """How long the last checkpoint took."""

    def is_due(self) -> bool:
        """Whether to save and stop now, before anything else is begun; rank 0 may ask alone."""
        now = time.monotonic()
        if now - self._looked >= _SECONDS_BETWEEN_LOOKS:
            self._looked = now
            self._was_asked = self._was_asked or self._work.stop_file.exists()
        return self._was_asked or self._is_late()

    def is_due_after_step(self) -> bool:
        """The same; all processes ask after each of their steps."""
        now = time.monotonic()
        if self._steps:
            self._longest_step = max(self._longest_step, now - self._asked_at)
        self._asked_at = now
        self._steps += 1
        if self._meeting.is_alone:
            return self.is_due()
        return self._steps % _STEPS_BETWEEN_VOTES == 0 and self._meeting.any(self.is_due())

    def _is_late(self) -> bool:
        deadline = self._work.deadline
        steps = 1 if self._meeting.is_alone else _STEPS_BETWEEN_VOTES
        needed = 1.5 * self.seconds_to_save + steps * self._longest_step
        return deadline is not None and time.time() + needed > deadline
