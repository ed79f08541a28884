"""`scaling logs`: what the attempts at a trial have written."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scaling.cli import options

if TYPE_CHECKING:
    from scaling.database import Database
    from scaling.orchestrator.files import Files

_SECONDS_BETWEEN_LOOKS = 0.5


def logs(
    trial: Annotated[
        str,
        typer.Argument(metavar="TRIAL", help="Its id, or as much of it as no other begins with."),
    ],
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the trial ends, or Ctrl-C.")
    ] = False,
    attempt: Annotated[
        int | None, typer.Option(min=1, help="Of this attempt (default: the latest with a log).")
    ] = None,
    events: Annotated[
        bool, typer.Option("--events", help="What happened to it, as JSON lines, instead.")
    ] = False,
    db: options.Database = options.RESULTS,
    checkpoints: options.Checkpoints = None,
) -> None:
    """Print the log of TRIAL: warnings, tracebacks, and what its worker left when it died.

    With --follow, later attempts are printed as they come.
    """
    from scaling.database import run_files
    from scaling.orchestrator.status import read_status
    from scaling.store import Store

    with Store.read(db) as store:
        known = store.known_trial(trial)
    if events:
        _print_events(run_files(db, checkpoints), known.trial_id)
        return
    files = read_status(db, checkpoints=checkpoints).files
    if follow:
        try:
            for text in _growing(db, files, known.trial_id, attempt):
                typer.echo(text, nl=False)
        except KeyboardInterrupt:
            return
        return
    paths = _logs(files, known.trial_id, attempt)
    if not paths:
        which = f"attempt {attempt} of it" if attempt else f"none of its {known.attempts} attempts"
        reason = f": {known.failure.text}" if known.failure else ""
        typer.echo(
            f"{known.trial_id} is {known.state}{reason}; {which} has left a log in "
            f"{files.storage.place(Path(known.trial_id))}; --events shows what happened to it",
            err=True,
        )
        return
    typer.echo(f"==> {files.storage.place(paths[-1])}", err=True)
    typer.echo(files.storage.read(paths[-1]).decode(errors="replace"), nl=False)


def _print_events(named: Path, trial_id: str) -> None:
    import json

    from scaling.orchestrator.events import read_events

    for event in read_events(named):
        if event.get("trial") == trial_id:
            typer.echo(json.dumps(event))


def _logs(files: "Files", trial_id: str, attempt: int | None) -> list[Path]:
    """The logs of a trial's attempts, the latest at the end."""
    return [path for number, path in files.logs(trial_id).items() if attempt in (None, number)]


def _growing(db: "Database", files: "Files", trial_id: str, attempt: int | None) -> Iterator[str]:
    """What is in the latest log, then what is added to it and to later ones."""
    import time

    from scaling.store import Store, TrialState

    read: dict[Path, int] = {}
    while True:
        with Store.read(db) as store:
            is_over = store.known_trial(trial_id).state not in (
                TrialState.PENDING,
                TrialState.RUNNING,
            )
        paths = _logs(files, trial_id, attempt)
        sizes = files.storage.sizes(paths)
        for path in paths if read else paths[-1:]:
            if sizes.get(path, 0) > read.setdefault(path, 0):
                added = files.storage.read(path, start=read[path])
                read[path] += len(added)
                yield added.decode("utf-8", errors="replace")
        if is_over:
            return
        time.sleep(_SECONDS_BETWEEN_LOOKS)
