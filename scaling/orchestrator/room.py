"""Room for checkpoints: trials whose next one would not fit do not start, and somebody says why.

What runs goes on, and waits by itself for a while if it finds no room (`scaling.train.room`).
"""

import time
from collections.abc import Iterable

from scaling.full_disk import bytes_wanted_for
from scaling.orchestrator.display import Display
from scaling.orchestrator.files import Files
from scaling.orchestrator.phases import Phase
from scaling.plan import PlannedTrial
from scaling.planning.memory import SAVED_BYTES
from scaling.trial import Checkpoint, Event
from scaling.units import format_bytes

MOST_SECONDS = 600.0
"""How long a run in which nothing goes on waits for room."""

_SECONDS_BETWEEN_LOOKS = 0.5


class Room:
    """What is free where the checkpoints are, and what those that are to come will take."""

    def __init__(self, files: Files) -> None:
        """There is room, as far as is known."""
        self._storage = files.storage
        self._sizes: dict[tuple[str, str], int] = {}
        self._free: int | None = None
        self._promised = 0
        self._looked = -_SECONDS_BETWEEN_LOOKS
        self._closed_until = 0.0
        self._why_closed = ""
        self._idle_since: float | None = None
        self._is_lacking = False
        """In this round: who comes later does not overtake with a smaller checkpoint."""
        self._told = ""
        self.lack = ""
        """Why nothing starts; empty if there is room."""

    def look(self, running: Iterable[Phase]) -> None:
        """Begin a round, in which `running` will each save another checkpoint."""
        now = time.monotonic()
        if now - self._looked >= _SECONDS_BETWEEN_LOOKS:
            self._looked = now
            self._free = self._storage.free_bytes()
        phases = list(running)
        self._promised = sum(map(self._needs, phases))
        self._idle_since = None if phases else self._idle_since or now
        self._is_lacking = False

    def has_place_for(self, phase: Phase) -> bool:
        """Whether an attempt may start, and is to find room for its next checkpoint."""
        needs = self._needs(phase)
        if not needs or self._free is None:
            return True
        if self._is_lacking:
            return False
        if time.monotonic() < self._closed_until:
            self.lack = self._why_closed
        elif needs + self._promised > self._free:
            beside = " beside those of the trials that run" if self._promised else ""
            self.lack = (
                f"{self._storage}: {format_bytes(self._free)} free; the next checkpoint of "
                f"{phase.planned.trial.id} needs {format_bytes(needs)}{beside}"
            )
        else:
            self.lack = ""
        self._is_lacking = bool(self.lack)
        return not self._is_lacking

    def promise(self, phase: Phase) -> None:
        """Note that an attempt starts."""
        self._promised += self._needs(phase)

    def was_missing(self, text: str, seconds: float) -> None:
        """Start nothing for a while: an attempt found no room, whatever the disk says.

        It may not know of quotas, for one.
        """
        self._closed_until, self._why_closed = time.monotonic() + seconds, text

    def saw(self, planned: PlannedTrial, events: Iterable[Event]) -> None:
        """Learn from checkpoints how large they are."""
        for event in events:
            if isinstance(event, Checkpoint):
                model = _model(planned)
                self._sizes[model] = max(event.bytes, self._sizes.get(model, 0))

    def tell(self, show: Display) -> None:
        """Say that nothing starts, and why, or that trials start again: once each."""
        if bool(self.lack) != bool(self._told):
            self._told = self.lack
            show.waiting(self.lack)

    @property
    def is_hopeless(self) -> bool:
        """Whether nothing has run for long, for want of room."""
        idle = self._idle_since
        return bool(self.lack) and idle is not None and time.monotonic() - idle > MOST_SECONDS

    def _needs(self, phase: Phase) -> int:
        """Bytes that must be free for the next checkpoint of an attempt, if it will save any."""
        if not phase.left.samples:
            return 0
        planned = phase.planned
        # Weights and Adam's two moments, unless a checkpoint of the model was seen.
        estimate = SAVED_BYTES * planned.profile.params
        return bytes_wanted_for(self._sizes.get(_model(planned), estimate))


def _model(planned: PlannedTrial) -> tuple[str, str]:
    return planned.trial.family, planned.trial.model
