"""What a run says while it goes on, all of it to stderr: stdout is for results."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Protocol, TextIO

from scaling.full_disk import doing_without
from scaling.orchestrator.tally import Tally, Task
from scaling.store import Failure, TrialState
from scaling.trial import Event, Measurement, Note
from scaling.units import format_count, format_seconds

_SHOWN_EARLIER = 20
"""Failures of earlier runs, of which there may be hundreds."""

_SECONDS_BETWEEN_SUMS = 60.0
"""After the last line, while trials say nothing that deserves one."""


class Display(Protocol):
    """Told what happens, by the run loop, in the order in which it happens."""

    def begin(self, tasks: Sequence[Task], done: int, failed: Mapping[str, Failure]) -> None:
        """`tasks` are left, `done` trials were complete before, `failed` ones stay as they are."""
        ...

    def ready(self, slots: int) -> None:
        """The executor is up: so many attempts at once."""
        ...

    def state(
        self, trial_id: str, state: TrialState, note: str = "", *, attempt: int | None = None
    ) -> None:
        """A trial is in another state; `note` is a failure's reason, or says what comes next.

        With `attempt`, this attempt at it begins.
        """
        ...

    def events(self, events: Sequence[Event]) -> None:
        """An attempt has found these; what is not progress is recorded already."""
        ...

    def waiting(self, reason: str) -> None:
        """Nothing starts, for a `reason`; if that is empty, trials start again."""
        ...

    def tick(self) -> None:
        """Nothing happened for a moment."""
        ...

    def close(self) -> None:
        """The run is over, well or not."""
        ...


def stderr_display() -> Display:
    """A live view where stderr is a terminal, plain lines elsewhere."""
    if sys.stderr.isatty():
        from scaling.orchestrator.live import Live

        return Live()
    return Lines(sys.stderr)


class Several:
    """Tells everything to several displays. A full disk silences one, and ends nothing."""

    def __init__(self, *displays: Display) -> None:
        """In this order."""
        self._displays = displays

    def begin(self, tasks: Sequence[Task], done: int, failed: Mapping[str, Failure]) -> None:
        """See `Display.begin`."""
        self._each(lambda display: display.begin(tasks, done, failed))

    def ready(self, slots: int) -> None:
        """See `Display.ready`."""
        self._each(lambda display: display.ready(slots))

    def state(
        self, trial_id: str, state: TrialState, note: str = "", *, attempt: int | None = None
    ) -> None:
        """See `Display.state`."""
        self._each(lambda display: display.state(trial_id, state, note, attempt=attempt))

    def events(self, events: Sequence[Event]) -> None:
        """See `Display.events`."""
        self._each(lambda display: display.events(events))

    def waiting(self, reason: str) -> None:
        """See `Display.waiting`."""
        self._each(lambda display: display.waiting(reason))

    def tick(self) -> None:
        """See `Display.tick`."""
        self._each(lambda display: display.tick())

    def close(self) -> None:
        """See `Display.close`."""
        self._each(lambda display: display.close())

    def _each(self, tell: Callable[[Display], None]) -> None:
        for display in self._displays:
            with doing_without():
                tell(display)


class Lines:
    """One line a trial event, with the time: for logs and for pipes."""

    def __init__(
        self, stream: TextIO, *, seconds_between_sums: float = _SECONDS_BETWEEN_SUMS
    ) -> None:
        """Write to `stream`."""
        self._stream = stream
        self._seconds_between_sums = seconds_between_sums
        self._tally = Tally([], 0)
        self._blocked = ("", 0)
        self._summed_up = time.monotonic()

    def begin(self, tasks: Sequence[Task], done: int, failed: Mapping[str, Failure]) -> None:
        """See `Display.begin`."""
        self._tally = Tally(tasks, done)
        if tasks:
            before = f", {done} are complete" if done else ""
            self._say(f"{len(tasks)} trials to do{before}; starting")
        for trial_id, failure in list(failed.items())[:_SHOWN_EARLIER]:
            self._say(f"{trial_id} {failure.kind} in an earlier run: {failure.text}")
        if (hidden := len(failed) - _SHOWN_EARLIER) > 0:
            self._say(f"and {hidden} more; `scaling status --failed` lists them")

    def ready(self, slots: int) -> None:
        """See `Display.ready`."""
        self._tally.slots = slots
        self._say(f"{slots} {'trial' if slots == 1 else 'trials'} at once")

    def state(
        self, trial_id: str, state: TrialState, note: str = "", *, attempt: int | None = None
    ) -> None:
        """See `Display.state`."""
        self._tally.state(trial_id, state, attempt)
        if state is TrialState.BLOCKED and note == self._blocked[0]:
            self._blocked = (note, self._blocked[1] + 1)
            return
        words = [trial_id, str(state)]
        if note:
            words.append(f"({note})" if state is TrialState.RUNNING else f": {note}")
        self._say(" ".join(words).replace(" : ", ": ") + self._how_far(state))
        self._blocked = (note if state is TrialState.BLOCKED else "", 0)

    def events(self, events: Sequence[Event]) -> None:
        """See `Display.events`."""
        self._tally.events(events)
        for line in lines_about(events):
            self._say(line)

    def waiting(self, reason: str) -> None:
        """See `Display.waiting`."""
        self._say(nothing_starts(reason) if reason else "there is room: trials start again")

    def tick(self) -> None:
        """See `Display.tick`; now and then a line about everything."""
        if time.monotonic() - self._summed_up >= self._seconds_between_sums:
            self._say(how_far(self._tally))

    def close(self) -> None:
        """See `Display.close`."""
        self._tell_blocked()
        self._stream.flush()

    def _how_far(self, state: TrialState) -> str:
        if state is not TrialState.COMPLETE:
            return ""
        left = self._tally.seconds_left()
        words = f", {time_left(left)}" if left else ""
        return f" ({self._tally.finished} of {len(self._tally.tasks)}{words})"

    def _tell_blocked(self) -> None:
        """A trunk may take hundreds of cooldowns with it, all for the same reason."""
        more, self._blocked = self._blocked[1], ("", 0)
        if more:
            self._say(f"and {more} more blocked for the same reason")

    def _say(self, line: str) -> None:
        self._tell_blocked()
        self._summed_up = time.monotonic()
        self._stream.write(f"{datetime.now():%H:%M:%S} {line}\n")
        self._stream.flush()


@contextmanager
def lines_in(path: Path) -> Iterator[Lines]:
    """Lines that are added to the file at `path`, as far as its disk has room."""
    file = path.open("a", encoding="utf-8")
    try:
        yield Lines(file)
    finally:
        with doing_without():
            file.close()


def nothing_starts(reason: str) -> str:
    """Why a run does not get on as it should."""
    return f"nothing starts, what runs goes on: {reason}"


def how_far(tally: Tally) -> str:
    """Trials by state, the share of the compute, the rate of all, and the time left."""
    counts = {
        "done": tally.count(TrialState.COMPLETE),
        "running": tally.count(TrialState.RUNNING),
        "to do": tally.count(TrialState.PENDING),
        "failed": tally.count(TrialState.FAILED, TrialState.DIVERGED),
        "blocked": tally.count(TrialState.BLOCKED),
        "stopped early": tally.count(TrialState.STOPPED),
        "done before": tally.done_before,
    }
    parts = [f"{count:,} {word}" for word, count in counts.items() if count]
    if tally.finished < len(tally.tasks):
        parts.append(f"{tally.fraction:.0%} of the compute")
        if rate := tally.samples_per_second:
            parts.append(f"{rate:,.0f} samples/s")
        left = tally.seconds_left()
        parts.append("time left not known yet" if left is None else time_left(left))
    return " · ".join(parts)


def time_left(seconds: float) -> str:
    """How long something still takes, which nobody knows to the second."""
    return f"about {format_seconds(seconds)} left"


def lines_about(events: Sequence[Event]) -> Iterator[str]:
    """A line for each note, and one for each task that was measured, with all of its metrics."""
    for event in events:
        if isinstance(event, Note):
            yield f"{event.trial_id}: {event.text}"
    found = [event for event in events if isinstance(event, Measurement)]
    for (trial_id, samples_seen, task), metrics in groupby(
        found, key=lambda event: (event.trial_id, event.samples_seen, event.task)
    ):
        values = ", ".join(f"{event.metric} {event.value:.4g}" for event in metrics)
        yield f"{trial_id} at {format_count(samples_seen)}: {task} {values}"
