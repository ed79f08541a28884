"""`scaling plan`: what a grid asks for and what it takes, before anything starts."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scaling.cli.options import Checkpoints, GridFile, Json, MaybeDatabase

if TYPE_CHECKING:
    from scaling.database import Database
    from scaling.orchestrator.order import Order
    from scaling.plan import Plan


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a plan is to be held against; None is what this machine has, or nothing."""

    db: "Database | None" = None
    checkpoints: str | None = None
    gpus: int | None = None
    slots: int | None = None
    tflops: float | None = None
    mfu: float | None = None
    order: "Order" = "critical-path"
    trials: bool = False
    as_json: bool = False


def plan(
    grid: GridFile,
    db: MaybeDatabase = None,
    checkpoints: Checkpoints = None,
    gpus: Annotated[
        int | None,
        typer.Option(min=0, help="Plan for so many GPUs (default: those of this machine)."),
    ] = None,
    slots: Annotated[
        int | None, typer.Option(min=1, help="Most trials at once (default: all that fit).")
    ] = None,
    tflops: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            help="Peak TFLOP/s of a device, instead of what was measured (default, where nothing "
            "was: 312, an A100 in bf16; 0.05 for a CPU core).",
        ),
    ] = None,
    mfu: Annotated[
        float | None,
        typer.Option(min=0.001, max=1.0, help="Share of that peak that is used (default 0.35)."),
    ] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Is everything here: data, evaluation sets, GPUs, Ray?"),
    ] = False,
    trials: Annotated[bool, typer.Option("--trials", help="List every trial.")] = False,
    as_json: Json = False,
) -> None:
    """Show what GRID trains, what it takes, and what of it is done.

    Nothing is needed of the machine that plans: neither data nor GPU nor Ray. Times are of
    training alone, without evaluation, saving and starting.
    """
    from scaling.grid import load_plan

    _without_pauses()
    planned = load_plan(grid)
    if check:
        _check(planned, grid)
    asked = Asked(
        db=db,
        checkpoints=checkpoints,
        gpus=gpus,
        slots=slots,
        tflops=tflops,
        mfu=mfu,
        trials=trials,
        as_json=as_json,
    )
    show_plan(planned, asked)


def show_plan(planned: "Plan", asked: Asked) -> None:
    """Print what `planned` takes, as tables or as JSON."""
    from scaling.planning import Paces, estimate, nothing_done, progress, this_machine

    measured: list[Any] = []
    found = None
    if asked.db is not None:
        from scaling.database import default_checkpoints
        from scaling.store import Store

        with Store.read(asked.db) as store:
            folder = asked.checkpoints or default_checkpoints(asked.db)
            found, measured = progress(planned, store, folder), store.throughputs()
    machine = this_machine(gpus=asked.gpus, slots=asked.slots)
    paces = Paces(machine, measured, tflops=asked.tflops, mfu=asked.mfu)
    found = found or nothing_done(planned)
    takes = estimate(planned, found, machine, paces, asked.order)
    if asked.as_json:
        import json

        from scaling.planning.report import report

        typer.echo(json.dumps(report(planned, found, takes), indent=2))
        return
    from scaling.cli.plan_tables import show

    show(planned, found, takes, trials=asked.trials)


def _check(planned: "Plan", grid: Path) -> None:
    from scaling.errors import GridError
    from scaling.planning.check import problems

    if found := problems(planned, uses_ray=True):
        raise GridError(str(grid), found)
    from scaling.planning import this_machine

    machine = this_machine()
    where = f"on {machine}" if machine.has_gpus else f"without a GPU, on {machine}"
    typer.echo(f"data, evaluation sets and Ray are here; trials would run {where}", err=True)


def _without_pauses() -> None:
    """Collect no garbage: a plan makes hundreds of thousands of objects and none in cycles."""
    import gc

    gc.disable()
