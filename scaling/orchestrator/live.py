"""The live view of a run on a terminal."""

import time
from collections import deque
from collections.abc import Mapping, Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live as RichLive
from rich.text import Text

from scaling.orchestrator.display import how_far, lines_about, nothing_starts
from scaling.orchestrator.running_table import running_table
from scaling.orchestrator.status_file import described
from scaling.orchestrator.tally import Tally, Task
from scaling.store import Failure, TrialState
from scaling.trial import Event

_SECONDS_PER_FRAME = 0.25
_SHOWN_RUNNING, _LEAST_RUNNING, _SHOWN_MEASURED, _SHOWN_FAILED = 32, 3, 5, 3


class Live:
    """What runs now, how far everything is, what was measured last, what failed and where to look.

    Drawn from the run loop and not from a thread of its own, so nothing changes while it draws.
    """

    def __init__(self, console: Console | None = None) -> None:
        """Draw on `console` (stderr, unless given)."""
        self._console = console or Console(stderr=True)
        self._live = RichLive(console=self._console, auto_refresh=False)
        self._tally = Tally([], 0)
        self._lines: deque[str] = deque(maxlen=_SHOWN_MEASURED)
        self._failed: dict[str, str] = {}
        self._is_ready = False
        self._waiting = ""
        self._drawn = 0.0

    def begin(self, tasks: Sequence[Task], done: int, failed: Mapping[str, Failure]) -> None:
        """See `Display.begin`."""
        self._tally = Tally(tasks, done)
        for trial_id, failure in failed.items():
            self._failed[trial_id] = f"{failure.kind}, in an earlier run: {failure.text}"
        if tasks:
            self._live.start()
            self._draw(now=True)

    def ready(self, slots: int) -> None:
        """See `Display.ready`."""
        self._tally.slots = slots
        self._is_ready = True
        self._draw(now=True)

    def state(
        self, trial_id: str, state: TrialState, note: str = "", *, attempt: int | None = None
    ) -> None:
        """See `Display.state`."""
        self._tally.state(trial_id, state, attempt)
        if state in (TrialState.FAILED, TrialState.DIVERGED, TrialState.BLOCKED):
            self._failed[trial_id] = f"{state}: {note}"
        self._draw()

    def events(self, events: Sequence[Event]) -> None:
        """See `Display.events`."""
        self._tally.events(events)
        self._lines.extend(lines_about(events))
        self._draw()

    def waiting(self, reason: str) -> None:
        """See `Display.waiting`."""
        self._waiting = reason
        self._draw(now=True)

    def tick(self) -> None:
        """See `Display.tick`."""
        self._draw()

    def close(self) -> None:
        """See `Display.close`."""
        if self._live.is_started:
            self._draw(now=True)
            self._live.stop()
        else:
            for line in self._failures():
                self._console.print(line)

    def _draw(self, *, now: bool = False) -> None:
        moment = time.monotonic()
        if self._live.is_started and (now or moment - self._drawn >= _SECONDS_PER_FRAME):
            self._drawn = moment
            self._live.update(self.frame(), refresh=True)

    def frame(self) -> RenderableType:
        """The picture as it is now, which fits on the screen."""
        running = [described(task) for task in self._tally.running]
        lines = [
            Text(line, style="dim", overflow="ellipsis", no_wrap=True) for line in self._lines
        ]
        failures = self._failures()
        # A failure is two lines or so; one line is left for the cursor, two for headings.
        rows = self._console.height - len(lines) - 2 * len(failures) - 4
        parts: list[RenderableType] = [self._headline()]
        if self._waiting:
            parts.append(Text(nothing_starts(self._waiting), style="yellow"))
            rows -= 2
        if running:
            shown = min(_SHOWN_RUNNING, max(_LEAST_RUNNING, rows))
            parts.append(running_table(running, shown, self._console.width))
        return Group(*parts, *lines, *failures)

    def _headline(self) -> RenderableType:
        words = how_far(self._tally) if self._is_ready else "starting"
        return Text(words, style="bold")

    def _failures(self) -> list[Text]:
        shown = list(self._failed.items())[-_SHOWN_FAILED:]
        lines = [Text(f"{trial_id} {reason}", style="red") for trial_id, reason in shown]
        if hidden := len(self._failed) - len(shown):
            words = f"{hidden} more failed or are blocked; `scaling status --failed` lists them"
            lines.insert(0, Text(words, style="red"))
        return lines
