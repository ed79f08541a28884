"""`scaling plan`: what a grid asks for and what it costs, before anything starts."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from scaling.cli.options import GridFile, Json

if TYPE_CHECKING:
    from scaling.plan import Plan


def plan(
    grid: GridFile,
    trials: Annotated[bool, typer.Option("--trials", help="List every trial.")] = False,
    as_json: Json = False,
) -> None:
    """Show the trials of GRID, their samples and GFLOPs, and what trunk sharing saves."""
    from scaling.grid import load_plan

    planned = load_plan(grid)
    if as_json:
        import json

        typer.echo(json.dumps(summary(planned), indent=2))
    else:
        show(planned, trials=trials)


def summary(planned: "Plan") -> dict[str, Any]:
    """The plan as plain data; compute in forward GFLOPs as the reference study counts them."""
    import dataclasses

    from scaling.cost import cost, shared

    whole = cost(planned.trials)
    sharing = shared(planned)
    return {
        "study": planned.study,
        "cells": len(planned.cells),
        "samples": whole.samples,
        "gflops": whole.gflops,
        "trunk_sharing": {
            "gflops_without": sharing.without_gflops,
            "gflops_with": sharing.with_gflops,
            "saved": sharing.saved,
        },
        "trials": [
            {
                "id": planned_trial.trial.id,
                "kind": planned_trial.trial.kind,
                "family": planned_trial.trial.family,
                "model": planned_trial.trial.model,
                "samples": planned_trial.samples,
                "gflops": planned_trial.samples * planned_trial.profile.published_gflops,
                "execution": dataclasses.asdict(planned_trial.execution),
                "stops": [stop.samples_seen for stop in planned_trial.stops],
                "branches_off": planned_trial.branch and planned_trial.branch[0],
            }
            for planned_trial in planned.trials
        ],
    }


def show(planned: "Plan", *, trials: bool) -> None:
    """Print the plan as tables."""
    from rich.console import Console
    from rich.table import Table

    from scaling.cost import by_family, cost, shared
    from scaling.units import format_count, format_gflops

    console = Console()
    table = Table(title=f"study {planned.study}", title_justify="left", box=None, pad_edge=False)
    for heading in ("family", "cells", "cosine", "trunks", "cooldowns", "samples", "GFLOPs"):
        table.add_column(heading, justify="left" if heading == "family" else "right")
    for family, its in by_family(planned).items():
        kinds = [planned_trial.trial.kind for planned_trial in its]
        spent = cost(its)
        table.add_row(
            family,
            str(sum(cell.family == family for cell in planned.cells)),
            *(str(kinds.count(kind)) for kind in ("cosine", "trunk", "cooldown")),
            format_count(spent.samples),
            format_gflops(spent.gflops),
        )
    console.print(table)
    whole, sharing = cost(planned.trials), shared(planned)
    console.print(
        f"\n{len(planned.cells)} cells, {len(planned.trials)} trials, "
        f"{format_count(whole.samples)} samples, {format_gflops(whole.gflops)} forward GFLOPs "
        "(training is about 3x)",
        highlight=False,
    )
    if sharing.without_gflops > sharing.with_gflops:
        console.print(
            f"Sharing trunks saves {sharing.saved:.0%}: {format_gflops(sharing.with_gflops)} "
            f"instead of {format_gflops(sharing.without_gflops)} GFLOPs for the cells that share",
            highlight=False,
        )
    for model, execution in dict.fromkeys(
        (its.trial.model, str(its.execution)) for its in planned.trials
    ):
        if execution:
            console.print(f"{model} is computed with {execution}", highlight=False)
    if trials:
        listed = Table(box=None, pad_edge=False)
        for heading in ("trial", "from", "to", "samples", "GFLOPs", "stops"):
            right = heading in {"from", "to", "samples", "GFLOPs", "stops"}
            listed.add_column(heading, justify="right" if right else "left", no_wrap=True)
        for its_trial in planned.trials:
            end = its_trial.stops[-1].samples_seen
            listed.add_row(
                its_trial.trial.id,
                format_count(end - its_trial.samples),
                format_count(end),
                format_count(its_trial.samples),
                format_gflops(its_trial.samples * its_trial.profile.published_gflops),
                str(len(its_trial.stops)),
            )
        console.print()
        console.print(listed)
