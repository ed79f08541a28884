"""How `scaling status` looks."""

from datetime import UTC, datetime

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from scaling.database import Database
from scaling.orchestrator.display import lines_about, nothing_starts, time_left
from scaling.orchestrator.running_table import running_table
from scaling.orchestrator.status import Driver, Status
from scaling.store import FailedTrial, TrialState
from scaling.units import format_seconds

_SHOWN_RUNNING, _SHOWN_FAILED = 16, 5


def picture(
    found: Status, db: Database, console: Console, *, every_failure: bool
) -> RenderableType:
    """All of it, for `console`."""
    overview = found.overview
    parts: list[RenderableType] = [Text(f"{db}: {_about(found.driver)}", style="bold")]
    if found.progress:
        parts.append(Text(_how_far(found)))
    if reason := found.progress.get("waiting"):
        parts.append(Text(nothing_starts(reason), style="yellow"))
    parts += [Text(), _states(found)]
    if running := found.running:
        parts += [Text(), running_table(running, _SHOWN_RUNNING, console.width)]
    elif overview.running:
        parts += [Text(), Text(_left_behind(found), overflow="fold")]
    if overview.measurements:
        parts += [Text(), Text("last measured", style="dim")]
        parts += [
            Text(line, overflow="ellipsis" if console.is_terminal else "ignore", no_wrap=True)
            for line in lines_about(overview.measurements)
        ]
    if overview.failed:
        parts += [Text(), *_failures(found, len(overview.failed) if every_failure else None)]
    return Group(*parts)


def _about(driver: Driver | None) -> str:
    if driver is None:
        return "no run has been made here yet"
    words = f"process {driver.pid} on {driver.host}"
    if driver.is_alive:
        return f"{words} works on it, since {_ago(driver.since)}"
    until = _ago(driver.until or driver.since)
    return {
        "ended": f"no run goes on; the last one ({words}) ended {until} ago",
        "died": f"no run goes on; the last one ({words}) was killed about {until} ago",
        "silent": f"{words} has said nothing for {until}",
    }[driver.state]


def _ago(moment: str) -> str:
    seconds = (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()
    return format_seconds(max(0.0, seconds))


def _how_far(found: Status) -> str:
    said = found.progress
    parts = [
        f"study {said['study']}",
        f"{said['finished']:,} of {said['to_do']:,} trials",
        f"{said['fraction']:.0%} of the compute",
    ]
    if rate := said["samples_per_second"]:
        parts.append(f"{rate:,.0f} samples/s")
    if said["finished"] < said["to_do"]:
        left = said["seconds_left"]
        parts.append("time left not known yet" if left is None else time_left(left))
    return " · ".join(parts)


def _states(found: Status) -> RenderableType:
    """Trials by family and state, with a sum where there are several families."""
    states = found.overview.states
    if not states:
        return Text("no trials: `scaling run GRID` adds some")
    total = {state: sum(its.get(state, 0) for its in states.values()) for state in TrialState}
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("family")
    there = [state for state in TrialState if total[state]]
    for state in there:
        table.add_column(str(state), justify="right")
    rows = {**states, "all": total} if len(states) > 1 else states
    for family, its in rows.items():
        table.add_row(family, *(f"{its.get(state, 0):,}" for state in there))
    return table


def _left_behind(found: Status) -> str:
    count = len(found.overview.running)
    trials = "1 trial is" if count == 1 else f"{count} trials are"
    return f"{trials} unfinished; `scaling run` goes on from the last checkpoints"


def _failures(found: Status, shown: int | None) -> list[RenderableType]:
    """The last failures; blocked cooldowns are counted, as their trunk says why."""
    failed = [its for its in found.overview.failed if its.state is not TrialState.BLOCKED]
    blocked = len(found.overview.failed) - len(failed)
    last = failed[-(shown or _SHOWN_FAILED) :]
    lines: list[RenderableType] = [Text("failed", style="dim")]
    if hidden := len(failed) - len(last):
        lines.append(Text(f"{hidden} more; --failed lists them", style="red"))
    for its in last:
        lines.append(Text(_reason(its), style="red"))
        log = found.log(its)
        if log and str(log) not in (its.failure.text if its.failure else ""):
            lines.append(Text(f"  log: {log}", overflow="fold"))
    if blocked:
        word = "cooldown waits" if blocked == 1 else "cooldowns wait"
        lines.append(Text(f"{blocked} {word} for a trunk that failed", style="red"))
    return lines


def _reason(its: FailedTrial) -> str:
    """The state, the class of failure where that says more, and the reason."""
    failure = its.failure
    words = f"{its.trial_id} {its.state}"
    if failure is None:
        return words
    kind = f" ({failure.kind})" if failure.kind != str(its.state) else ""
    return f"{words}{kind}: {failure.text.removeprefix(f'{its.state}: ')}"
