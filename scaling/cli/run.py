"""`scaling run`: train and measure what a grid asks for and the store does not have."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from scaling.cli import options


def run(
    grid: options.GridFile,
    db: options.Database = options.RESULTS,
    checkpoints: Annotated[
        str | None,
        typer.Option(
            metavar="PATH|URI",
            help="Where checkpoints go: a folder, or an address as s3://bucket/study (default: "
            "beside the store's file, results.checkpoints).",
        ),
    ] = None,
    scratch: Annotated[
        Path | None,
        typer.Option(
            help="With an address: the folder on each node's own disk where trials work (default: "
            "the system's for temporary files)."
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
    order: Annotated[
        Literal["critical-path", "cheapest", "longest", "as-written"],
        typer.Option(
            help="Which trials start first; critical-path ends soonest, and begins with one cheap "
            "trial of each model."
        ),
    ] = "critical-path",
    budget_gflops: Annotated[
        float | None,
        typer.Option(min=0.0, help="Train at most so many forward GFLOPs, as `plan` counts."),
    ] = None,
    budget_gpu_hours: Annotated[
        float | None, typer.Option(min=0.0, help="Occupy GPUs for at most so many hours.")
    ] = None,
    deadline: Annotated[
        str | None,
        typer.Option(
            metavar="TIME|DURATION", help="End by then: 2026-05-01T06:00, or 6h from now."
        ),
    ] = None,
    stall_seconds: Annotated[
        float,
        typer.Option(
            min=1,
            help="How long training may stand still before it is ended and tried again; starting "
            "and saving may take 3 times as long, an evaluation task 12 times.",
        ),
    ] = 600.0,
    grace_seconds: Annotated[
        float, typer.Option(min=0, help="After Ctrl-C: time to save where trials are.")
    ] = 60.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and stop.")] = False,
    as_json: options.Json = False,
) -> None:
    """Train and measure every cell of GRID that the store does not have.

    Stop it with Ctrl-C, or lose the machine: the next run goes on where this one was. No trial
    starts that cannot reach its next checkpoint within the budgets. Exit code 1 says that some
    trial failed, 3 that a budget ended first.
    """
    from scaling.database import default_checkpoints
    from scaling.grid import load_plan

    plan = load_plan(grid)
    root = checkpoints or default_checkpoints(db)
    if dry_run:
        from scaling.cli.plan import Asked, show_plan
        from scaling.store import exists

        asked = Asked(
            db=db if exists(db) else None,
            checkpoints=checkpoints,
            slots=slots,
            order=order,
            trials=not as_json,
            as_json=as_json,
        )
        show_plan(plan, asked)
        return
    from datetime import datetime

    from scaling.orchestrator import (
        Budget,
        LocalExecutor,
        Policy,
        RayExecutor,
        parse_deadline,
        run_plan,
        stderr_display,
    )
    from scaling.storage import storage_at
    from scaling.store import Store

    budget = Budget(
        gflops=budget_gflops,
        gpu_hours=budget_gpu_hours,
        deadline=parse_deadline(deadline, datetime.now().astimezone()) if deadline else None,
    )
    with Store(db) as store:
        outcome = run_plan(
            plan,
            store,
            checkpoints=storage_at(root, scratch),
            executor=LocalExecutor()
            if executor == "local"
            else RayExecutor(slots=slots, address=address),
            show=stderr_display(),
            policy=Policy(
                retry=retry,
                order=order,
                budget=budget,
                stall_seconds=stall_seconds,
                grace_seconds=grace_seconds,
            ),
        )
    if as_json:
        import dataclasses
        import json

        typer.echo(json.dumps(dataclasses.asdict(outcome), indent=2, default=str))
    else:
        typer.echo(str(outcome))
    raise typer.Exit(outcome.exit_code)
