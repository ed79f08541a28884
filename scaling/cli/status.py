"""`scaling status`: how far studies are, asked from any shell while a run goes on or after it."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from scaling.cli import options

if TYPE_CHECKING:
    from scaling.database import Database
    from scaling.orchestrator.status import Status
    from scaling.store import FailedTrial


def status(
    study: options.Study = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show it again and again, until Ctrl-C.")
    ] = False,
    every: Annotated[
        float, typer.Option(min=0.2, metavar="SECONDS", help="How often --watch shows it.")
    ] = 2.0,
    failed: Annotated[
        bool, typer.Option("--failed", help="List all failures, not only the last ones.")
    ] = False,
    db: options.Database = options.RESULTS,
    checkpoints: options.Checkpoints = None,
    as_json: options.Json = False,
) -> None:
    """Show whether a run goes on, its trials, the last measurements, failures and where to look.

    Reads only: it disturbs no run. With --json --watch, one line of JSON each time.
    """
    from scaling.orchestrator.status import read_status

    def read() -> "Status":
        return read_status(db, study=study, checkpoints=checkpoints)

    if as_json:
        import json

        _repeat(
            lambda: typer.echo(json.dumps(summary(read(), db), indent=None if watch else 2)),
            every if watch else None,
        )
        return
    from rich.console import Console

    from scaling.cli.status_tables import picture

    console = Console(highlight=False)
    if watch and console.is_terminal:
        from rich.live import Live

        with Live(console=console, auto_refresh=False, screen=True) as live:
            _repeat(
                lambda: live.update(
                    picture(read(), db, console, every_failure=failed), refresh=True
                ),
                every,
            )
        return
    _repeat(
        lambda: console.print(
            picture(read(), db, console, every_failure=failed),
            soft_wrap=not console.is_terminal,  # Paths in a pipe are whole.
        ),
        every if watch else None,
    )


def _repeat(show: Any, seconds: float | None) -> None:
    """Call `show`, again after `seconds` until Ctrl-C; once, if None."""
    import time

    try:
        show()
        while seconds is not None:
            time.sleep(seconds)
            show()
    except KeyboardInterrupt:
        return


def summary(found: "Status", db: "Database") -> dict[str, Any]:
    """Everything as plain data; see docs/running.md."""
    import dataclasses

    overview, driver = found.overview, found.driver
    return {
        "store": str(db),
        "driver": driver and dataclasses.asdict(driver),
        "states": {
            family: {str(state): count for state, count in states.items()}
            for family, states in overview.states.items()
        },
        "running": found.running,
        "samples_per_second": found.progress.get("samples_per_second"),
        "fraction": found.progress.get("fraction"),
        "seconds_left": found.progress.get("seconds_left"),
        "measurements": [dataclasses.asdict(each) for each in overview.measurements],
        "failed": [_failure(found, trial) for trial in overview.failed],
    }


def _failure(found: "Status", trial: "FailedTrial") -> dict[str, Any]:
    log = found.log(trial)
    return {
        "trial": trial.trial_id,
        "state": str(trial.state),
        "kind": trial.failure and str(trial.failure.kind),
        "reason": trial.failure and trial.failure.text,
        "attempt": trial.attempt,
        "log": log and str(log),
    }
