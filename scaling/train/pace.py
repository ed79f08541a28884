"""How fast an attempt trains: what plans of later grids are made from."""

import time

from scaling.trial import Throughput


class Pace:
    """The samples that were trained and the seconds that this took."""

    def __init__(self, trial_id: str, processes: int) -> None:
        """`processes` train the trial together."""
        self._trial_id = trial_id
        self._processes = processes
        self._samples = 0
        self._seconds = 0.0
        self._began: tuple[int, float] | None = None

    def step(self, samples_seen: int) -> None:
        """Note the end of a step; the clock starts with the first, which may compile."""
        if self._began is None:
            self._began = (samples_seen, time.monotonic())

    def pause(self, samples_seen: int) -> None:
        """Note the end of a stretch of training; what follows is something else."""
        if self._began is not None:
            (first, began), self._began = self._began, None
            if samples_seen > first:
                self._samples += samples_seen - first
                self._seconds += (time.monotonic() - began) * self._processes

    def so_far(self) -> list[Throughput]:
        """The one event that says so; none if no stretch had a second step."""
        if not self._samples:
            return []
        return [Throughput(trial_id=self._trial_id, samples=self._samples, seconds=self._seconds)]
