"""The live view of a run on a terminal."""

import time
from collections import deque
from collections.abc import Mapping, Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live as RichLive
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from scaling.orchestrator.display import lines_about, time_left
from scaling.orchestrator.tally import Tally, Task
from scaling.store import Failure, TrialState
from scaling.trial import Event
from scaling.units import format_count

_SECONDS_PER_FRAME = 0.25
_SHOWN_RUNNING, _SHOWN_MEASURED, _SHOWN_FAILED = 12, 5, 5


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

    def state(self, trial_id: str, state: TrialState, note: str = "") -> None:
        """See `Display.state`."""
        self._tally.state(trial_id, state)
        if state in (TrialState.FAILED, TrialState.DIVERGED, TrialState.BLOCKED):
            self._failed[trial_id] = f"{state}: {note}"
        self._draw()

    def events(self, events: Sequence[Event]) -> None:
        """See `Display.events`."""
        self._tally.events(events)
        self._lines.extend(lines_about(events))
        self._draw()

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
        """The picture as it is now."""
        parts: list[RenderableType] = [self._headline()]
        running = [task for task in self._tally.tasks.values() if task.state is TrialState.RUNNING]
        if running:
            parts.append(_table(running))
        parts += [
            Text(line, style="dim", overflow="ellipsis", no_wrap=True) for line in self._lines
        ]
        parts += self._failures()
        return Group(*parts)

    def _headline(self) -> RenderableType:
        tally = self._tally
        counts = {
            "done": tally.count(TrialState.COMPLETE),
            "running": tally.count(TrialState.RUNNING),
            "to do": tally.count(TrialState.PENDING),
            "failed": tally.count(TrialState.FAILED, TrialState.DIVERGED),
            "blocked": tally.count(TrialState.BLOCKED),
            "done before": tally.done_before,
        }
        parts = [f"{count} {word}" for word, count in counts.items() if count]
        left = tally.seconds_left()
        if not self._is_ready:
            parts.append("starting")
        elif tally.finished < len(tally.tasks):
            parts.append(f"{tally.fraction:.0%} of the compute")
            parts.append("time left not known yet" if left is None else time_left(left))
        return Text(" · ".join(parts), style="bold")

    def _failures(self) -> list[Text]:
        shown = list(self._failed.items())[-_SHOWN_FAILED:]
        lines = [Text(f"{trial_id} {reason}", style="red") for trial_id, reason in shown]
        if hidden := len(self._failed) - len(shown):
            lines.insert(0, Text(f"{hidden} more failed or are blocked", style="red"))
        return lines


def _table(running: Sequence[Task]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("trial", no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column("progress", width=20)
    for heading in ("samples", "samples/s", "loss"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("phase", width=8)
    for task in running[:_SHOWN_RUNNING]:
        table.add_row(
            task.trial_id,
            ProgressBar(total=1.0, completed=task.fraction, width=20),
            f"{format_count(task.samples_seen)} / {format_count(task.end)}",
            f"{task.samples_per_second:,.0f}" if task.samples_per_second else "",
            "" if task.loss is None else f"{task.loss:.3f}",
            task.phase,
        )
    if (hidden := len(running) - _SHOWN_RUNNING) > 0:
        table.add_row(f"and {hidden} more")
    return table
