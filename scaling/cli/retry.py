"""`scaling retry`: give trials that failed another chance."""

from enum import StrEnum
from typing import Annotated, Literal

import typer

from scaling.cli import options


class Class(StrEnum):
    """The kinds of `scaling.store.FailureKind` that trials fail for by themselves."""

    OOM = "oom"
    HANG = "hang"
    INFRA = "infra"
    BUG = "bug"
    DIVERGED = "diverged"
    PREEMPTED = "preempted"
    SETUP = "setup"
    NO_ROOM = "no-room"
    REFUSED = "refused"


def retry(
    db: options.Database = options.RESULTS,
    study: Annotated[str | None, typer.Option(help="Of this study only.")] = None,
    state: Annotated[
        Literal["failed", "diverged"], typer.Option(help="Trials in this state.")
    ] = "failed",
    kinds: Annotated[
        list[Class] | None,
        typer.Option(
            "--class",
            metavar="CLASS",
            help="That failed for this reason, whatever the state: oom, hang, infra, bug, "
            "diverged, preempted, setup, no-room or refused (repeat for several).",
        ),
    ] = None,
    trials: Annotated[
        list[str] | None,
        typer.Option("--trial", metavar="ID", help="Beginning of an id (repeat)."),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Let the next 'scaling run' try again what failed, and what that blocked.

    A trial goes on from its last checkpoint. Exit code 0 if trials were marked, 1 if none is as
    described, 2 if it could not be done, e.g. because a run is using the store.
    """
    from scaling.store import FailureKind, Retry, Store, TrialState

    Store.read(db).close()  # Not to make a store where there is none.
    which = Retry(
        study=study,
        state=TrialState(state),
        kinds=tuple(FailureKind(kind) for kind in kinds or ()),
        trials=tuple(trials or ()),
    )
    with Store(db) as store:
        marked = store.retry(which)
    if as_json:
        import json

        typer.echo(json.dumps({"marked": marked}, indent=2))
    elif marked:
        typer.echo("\n".join(marked))
        count = "1 trial" if len(marked) == 1 else f"{len(marked)} trials"
        typer.echo(f"{count} marked: `scaling run GRID` tries again", err=True)
    else:
        typer.echo("no trial is like that; nothing was changed", err=True)
    raise typer.Exit(0 if marked else 1)
