"""`scaling allocate`: the best model size and samples seen for a compute, by three methods."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from scaling.cli import options
from scaling.errors import ScalingError
from scaling.units import format_count, format_gflops

if TYPE_CHECKING:
    import pandas as pd

PROPORTIONAL = 1.01
"""Largest to smallest parameters per GFLOP of models that differ in nothing but size."""


def allocate(
    compute: Annotated[
        list[float],
        typer.Option(metavar="GFLOPS ...", help="Total computes to divide, in GFLOPs."),
    ],
    study: options.Study = None,
    dataset: options.DatasetName = None,
    schedule: options.ScheduleName = None,
    task: options.TaskName = None,
    metric: options.MetricName = None,
    family: Annotated[str | None, typer.Option(help="Only this family.")] = None,
    max_compute: options.MaxCompute = None,
    surface: options.SurfaceLaw = None,
    refits: Annotated[
        int, typer.Option(min=100, help="Bootstrap refits behind each interval.")
    ] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap.")] = 0,
    db: options.Database = options.RESULTS,
    as_json: options.Json = False,
) -> None:
    """Say how many samples, and so which model size, make the best of a compute.

    Three methods stand side by side: a line through the frontier, isoFLOP parabolas, and a law of
    model size and samples seen. Where they disagree, the cells do not decide.
    """
    from fitting import FitError
    from fitting.allocate import allocate as allocate_all
    from scaling.points import Selection, load_points

    wrong = [f"{gflops:g}" for gflops in compute if not 0 < gflops < float("inf")]
    if wrong:
        raise ScalingError(f"--compute {' '.join(wrong)}: give positive GFLOPs, e.g. 2.6e12")
    selection = Selection(
        study=study,
        dataset=dataset,
        schedule=schedule,
        task=task,
        metric=metric,
        families=(family,) if family else None,
    )
    points, thresholds = load_points(db, selection)
    try:
        found, failures = allocate_all(
            points,
            compute,
            max_compute=thresholds if max_compute is None else max_compute,
            refits=refits,
            seed=seed,
            surface=surface,
        )
    except FitError as error:
        raise ScalingError(f"{db}: {error}") from error
    report: dict[str, list[dict[str, Any]]] = {
        "series": [_with_models(one.to_json(), points) for one in found],
        "failures": [
            {**one.setting._asdict(), "family": one.family, "reason": one.reason}
            for one in failures
        ],
    }
    if as_json:
        import json

        typer.echo(json.dumps(report, indent=2, allow_nan=False))
    else:
        _show(report)


def _with_models(entry: dict[str, Any], points: "pd.DataFrame") -> dict[str, Any]:
    """The entry, with the measured model of nearest size and the parameters of each optimum.

    Parameters are None where they are not in proportion to GFLOPs per sample.
    """
    from math import log

    rows = points[points["family"] == entry["family"]]
    sizes = (rows["compute_gflops"] / rows["samples_seen"]).groupby(rows["model"]).median()
    per_gflop = rows["params"] / (rows["compute_gflops"] / rows["samples_seen"])
    low, high = per_gflop.min(skipna=False), per_gflop.max()
    ratio = float((low + high) / 2) if high <= low * PROPORTIONAL else None
    for allocation in entry["allocations"]:
        for optimum in allocation["optima"]:
            size = optimum["gflops_per_sample"]
            optimum["params"] = None if ratio is None else round(ratio * size)
            distance = {str(name): abs(log(one / size)) for name, one in sizes.items()}
            optimum["nearest_model"] = min(distance, key=distance.__getitem__)
    return entry


def _show(report: dict[str, list[dict[str, Any]]]) -> None:
    from rich.console import Console
    from rich.padding import Padding
    from rich.table import Table

    console = Console()
    for series in report["series"]:
        console.print(f"[bold]{_title(series)}[/bold]", highlight=False)
        for allocation in series["allocations"]:
            console.print(f"  {_heading(allocation)}", highlight=False)
            table = Table(box=None, pad_edge=False, header_style="dim")
            table.add_column("by", no_wrap=True)
            sized = all(optimum["params"] is not None for optimum in allocation["optima"])
            size = "params" if sized else "GFLOPs each"
            for name in ("samples", "95 %", size, "nearest", "slope"):
                is_model = name == "nearest"
                table.add_column(name, justify="right", no_wrap=not is_model, overflow="fold")
            for optimum in allocation["optima"]:
                table.add_row(*_row(optimum))
            console.print(Padding(table, (0, 0, 0, 2)))
            for line in _remarks(allocation):
                console.print(f"  {line}", highlight=False)
            console.print()
        for method, why in series["failures"].items():
            console.print(f"  no {method}: {why}", highlight=False)
    for failure in report["failures"]:
        console.print(f"not allocated: {_title(failure)}: {failure['reason']}", highlight=False)


def _title(record: dict[str, Any]) -> str:
    where = " · ".join(f"{record[key]}" for key in ("dataset", "schedule"))
    study = f"study {record['study']}"
    return f"{record['family']} · {record['task']} {record['metric']} · {where} · {study}"


def _heading(allocation: dict[str, Any]) -> str:
    ratio = allocation["extrapolation"]
    beyond = f", {ratio:.2g}x the largest measured" if ratio > 1 else ""
    return f"{format_gflops(allocation['compute_gflops'])} GFLOPs{beyond}"


def _row(optimum: dict[str, Any]) -> tuple[str, ...]:
    return (
        optimum["method"],
        _count(optimum["samples_seen"]),
        f"{_count(optimum['low'])} to {_count(optimum['high'])}",
        _count(params) if (params := optimum["params"]) else f"{optimum['gflops_per_sample']:.3g}",
        optimum["nearest_model"],
        f"{optimum['exponent']:.2f}",
    )


def _count(samples: float | None) -> str:
    """Two digits are all that such an estimate has."""
    return "open" if samples is None else format_count(float(f"{samples:.2g}"))


def _remarks(allocation: dict[str, Any]) -> list[str]:
    ratio = allocation["disagreement"]
    lines = [] if ratio is None else [f"the methods differ by a factor of {ratio:.2g}"]
    return lines + [
        f"{optimum['method']}: {'; '.join(optimum['notes'])}" for optimum in allocation["optima"]
    ]
