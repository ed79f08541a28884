"""`scaling trial`: one trial of a grid, shown, or trained in this process for a debugger."""

import dataclasses
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scaling.cli import options

if TYPE_CHECKING:
    from scaling.database import Database
    from scaling.plan import PlannedTrial
    from scaling.storage import Remote
    from scaling.trial import Checkpoint, Event, Work


def trial(
    grid: options.GridFile,
    trial: Annotated[
        str,
        typer.Argument(metavar="TRIAL", help="Its id, or as much of it as no other begins with."),
    ],
    local: Annotated[
        bool, typer.Option("--local", help="Train it in this process; nothing is recorded.")
    ] = False,
    pdb: Annotated[
        bool, typer.Option("--pdb", help="With --local: stop where an exception is raised.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="With --local: its folder (default: a temporary one)."
        ),
    ] = None,
    db: options.Database = options.RESULTS,
    checkpoints: options.Checkpoints = None,
) -> None:
    """Show what TRIAL of GRID is, or train it here in a plain loop, without Ray or the store.

    It begins at the beginning, a cooldown at its trunk's checkpoint, which the store must have.
    """
    from scaling.grid import load_plan
    from scaling.store.overview import the_only

    plan = load_plan(grid)
    planned = {its.trial.id: its for its in plan.trials}
    chosen = planned[the_only(trial, planned)]
    if not local:
        typer.echo(json.dumps(description(chosen), indent=2))
        return
    from scaling.trial import Work

    start, storage = _branch_point(chosen, db, checkpoints)
    folder = output or Path(tempfile.mkdtemp(prefix="scaling-trial-"))
    folder.mkdir(parents=True, exist_ok=True)
    typer.echo(f"{chosen.trial.id} in {folder}", err=True)
    _train(
        Work(
            trial=chosen.trial,
            stops=chosen.stops,
            checkpoints=start,
            directory=folder.absolute(),
            execution=chosen.execution,
            evaluation=plan.evaluation,
            storage=storage,
        ),
        pdb=pdb,
    )


def description(planned: "PlannedTrial") -> dict[str, object]:
    """Everything that defines a trial, as plain data."""
    return {
        "id": planned.trial.id,
        "identity": planned.trial.identity(),
        "stops": [dataclasses.asdict(stop) for stop in planned.stops],
        "branches_off": planned.branch and {"trunk": planned.branch[0], "at": planned.branch[1]},
        "samples": planned.samples,
        "resources": dataclasses.asdict(planned.resources),
        "execution": dataclasses.asdict(planned.execution),
    }


def _branch_point(
    planned: "PlannedTrial", db: "Database", checkpoints: str | None
) -> "tuple[tuple[Checkpoint, ...], Remote | None]":
    """The checkpoint that a cooldown starts from, and where it is; nothing for the others.

    Raises `StoreError` if it is not there.
    """
    if planned.branch is None:
        return (), None
    from scaling.errors import StoreError
    from scaling.orchestrator.status import read_status
    from scaling.store import Store

    trunk, samples_seen = planned.branch
    with Store.read(db) as store:
        known = store.recorded([trunk])
    files = read_status(db, checkpoints=checkpoints).files
    saved = files.present(known[trunk].checkpoints) if trunk in known else ()
    found = tuple(each for each in saved if each.samples_seen == samples_seen)
    if not found:
        raise StoreError(
            f"{planned.trial.id} branches off {trunk} at {samples_seen:,} samples, of which there "
            f"is no checkpoint in {files.storage.place(Path(trunk))}; `scaling run` makes it"
        )
    return found, files.remote


def _train(work: "Work", *, pdb: bool) -> None:
    """The whole loop; an exception leaves it as it was raised."""
    from scaling.train import train

    try:
        for event in train(work):
            if line := _said(event):
                typer.echo(line)
    except Exception as error:
        if pdb:
            import traceback
            from pdb import post_mortem

            traceback.print_exc()
            post_mortem(error.__traceback__)
        raise


def _said(event: "Event") -> str:
    """A line about an event; nothing about those that say what others say as well."""
    from scaling.trial import Checkpoint, CurvePoint, Measurement, Note
    from scaling.units import format_count

    match event:
        case CurvePoint():
            return f"{format_count(event.samples_seen):>8}  loss {event.loss:.4f}"
        case Measurement():
            seen = format_count(event.samples_seen)
            return f"{seen:>8}  {event.task} {event.metric} {event.value:.4g}"
        case Checkpoint():
            return f"{format_count(event.samples_seen):>8}  saved {event.path}"
        case Note():
            return event.text
    return ""
