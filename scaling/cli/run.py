"""`scaling run`: train and measure what a grid asks for and the store does not have."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from scaling.cli import options


def run(
    grid: options.GridFile,
    db: options.Database = options.RESULTS,
    checkpoints: Annotated[
        Path | None,
        typer.Option(
            help="Where checkpoints go (default: beside the store, results.checkpoints)."
        ),
    ] = None,
    slots: Annotated[
        int | None,
        typer.Option(min=1, help="Trials at once (default: one per GPU, else per CPU core)."),
    ] = None,
    executor: Annotated[
        Literal["ray", "local"],
        typer.Option(help="'local' trains in this process, one trial at a time, without Ray."),
    ] = "ray",
    address: Annotated[
        str | None,
        typer.Option(help="A running Ray cluster: 'auto' or host:port (default: a local one)."),
    ] = None,
    retry: Annotated[
        bool, typer.Option("--retry", help="Give trials that failed another chance.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and stop.")] = False,
    as_json: options.Json = False,
) -> None:
    """Train and measure every cell of GRID that the store does not have.

    Stop it with Ctrl-C, or lose the machine: the next run goes on where this one was. Exit code 1
    says that some trial failed.
    """
    from scaling.grid import load_plan

    plan = load_plan(grid)
    if dry_run:
        from scaling.cli.plan import show

        show(plan, trials=True)
        return
    from scaling.orchestrator import LocalExecutor, RayExecutor, display, run_plan
    from scaling.store import Store

    with Store(db) as store:
        outcome = run_plan(
            plan,
            store,
            checkpoints=checkpoints or db.with_suffix(".checkpoints"),
            executor=LocalExecutor()
            if executor == "local"
            else RayExecutor(slots=slots, address=address),
            show=display(),
            retry=retry,
        )
    if as_json:
        import dataclasses
        import json

        typer.echo(json.dumps(dataclasses.asdict(outcome), indent=2, default=str))
    else:
        typer.echo(str(outcome))
    raise typer.Exit(outcome.exit_code)
