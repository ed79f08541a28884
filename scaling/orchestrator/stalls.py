"""Hangs: an attempt that is silent for longer than what it is doing can take.

The process of the attempt and the driver both watch the same events. The process writes its stacks
to the log when time is up, which works on any machine and while Python is stuck; the driver ends
it a moment later. What nobody else can end, an attempt in the driver's own process, only writes.
"""

import faulthandler
import signal
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from scaling.trial import CurvePoint, Event, Note, Progress, Throughput

_SECONDS_TO_WRITE = 2.0
"""Between the stacks and the end."""

_MULTIPLES = {"start": 3.0, "save": 3.0, "evaluate": 12.0}
"""Of the limit for a training step: reading data, compiling and the first batch; a checkpoint on a
slow disk; an evaluation task, which says nothing until it ends."""

_LEAST_START_SECONDS = 30.0
"""A process needs to import torch, however impatient one is with steps."""

_STEPS = 20
"""A step is a stall if it takes as long as so many usual ones, and longer than the limit."""


class Watch:
    """How long one attempt has been silent, and how long it may be."""

    def __init__(self, stall_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """The attempt starts now."""
        self._stall_seconds = stall_seconds
        self._clock = clock
        self._began = self._last = clock()
        self._between_reports: deque[float] = deque(maxlen=101)
        self.phase = "start"

    def heard(self, events: Iterable[Event] = ()) -> None:
        """Note that the attempt has said something."""
        now = self._clock()
        said = [event for event in events if not isinstance(event, Note | CurvePoint | Throughput)]
        phase = self.phase
        if said:
            phase = said[-1].phase if isinstance(said[-1], Progress) else "start"
        if self.phase == phase == "train":
            self._between_reports.append(now - self._last)
        self._last, self.phase = now, phase

    @property
    def seconds(self) -> float:
        """Since the attempt started."""
        return self._clock() - self._began

    @property
    def silent_seconds(self) -> float:
        """Since the last word."""
        return self._clock() - self._last

    @property
    def limit(self) -> float:
        """How long the attempt may be silent, in seconds, in the phase that it is in."""
        limit = self._stall_seconds * _MULTIPLES.get(self.phase, 1.0)
        if self.phase == "start":
            limit = max(limit, _LEAST_START_SECONDS)
        usual = statistics.median(self._between_reports) if self._between_reports else 0.0
        return max(limit, _STEPS * usual)

    @property
    def is_over(self) -> bool:
        """Whether the limit has passed, and with it the time to write stacks."""
        return self.silent_seconds > self.limit + _SECONDS_TO_WRITE

    def __str__(self) -> str:
        """What was seen, for people."""
        doing = {"start": "starting", "train": "training", "save": "saving"}
        return (
            f"no progress for {self.silent_seconds:.0f} s while "
            f"{doing.get(self.phase, 'evaluating')}"
        )


@contextmanager
def writing_stacks(log: Path, stall_seconds: float | None) -> Iterator[Callable[[Event], None]]:
    """Within, this process writes its stacks to `log` on SIGUSR1, and when it stalls.

    Whatever it has to say, it tells the function that this gives. The log goes away again if
    nothing was written.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    was_there = log.exists()
    watch = Watch(stall_seconds) if stall_seconds else None
    with log.open("a", encoding="utf-8") as file:

        def heard(event: Event) -> None:
            if watch is not None:
                watch.heard([event])
                faulthandler.dump_traceback_later(watch.limit, file=file)

        faulthandler.register(signal.SIGUSR1, file=file, all_threads=True)
        try:
            if watch is not None:
                faulthandler.dump_traceback_later(watch.limit, file=file)
            yield heard
        finally:
            faulthandler.cancel_dump_traceback_later()
            faulthandler.unregister(signal.SIGUSR1)
    if not was_there and not log.stat().st_size:
        log.unlink()
