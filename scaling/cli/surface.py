"""`scaling surface`: laws of model size and samples seen, such as L(N, D) of language models."""

from typing import Annotated, Any, Literal

import typer

from scaling.cli import options
from scaling.errors import ScalingError


def surface(
    study: options.Study = None,
    dataset: options.DatasetName = None,
    schedule: options.ScheduleName = None,
    task: options.TaskName = None,
    metric: options.MetricName = None,
    family: Annotated[str | None, typer.Option(help="Only this family.")] = None,
    law: Annotated[
        Literal["chinchilla", "saturating"] | None,
        typer.Option(help="The law (default: chinchilla for losses, saturating for fractions)."),
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option(
            help="squares, log, huber[:DELTA] or log-huber[:DELTA] (default: log-huber:1e-3 for "
            "chinchilla, squares for saturating)."
        ),
    ] = None,
    size: Annotated[
        Literal["auto", "params", "gflops"],
        typer.Option(
            help="The unit of model size N: parameters, or forward GFLOPs per sample. auto: "
            "parameters for chinchilla where all are known."
        ),
    ] = "auto",
    max_compute: options.MaxCompute = None,
    refits: Annotated[
        int, typer.Option(min=100, help="Bootstrap refits behind each interval.")
    ] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap.")] = 0,
    db: options.Database = options.RESULTS,
    as_json: options.Json = False,
) -> None:
    """Fit error as a function of model size N and samples or tokens D, to all cells of a series.

    chinchilla, E + A / N^alpha + B / D^beta, is for losses; saturating, between chance and a
    floor, for errors that are fractions. With the first, the best N grows as compute to the power
    beta / (alpha + beta). Cells above --max-compute are held out and score the law.
    """
    from fitting import FitError
    from fitting.surface_analysis import Size, SurfaceOptions, analyse_surfaces
    from scaling.points import Selection, load_points

    points, thresholds = load_points(
        db,
        Selection(
            study=study,
            dataset=dataset,
            schedule=schedule,
            task=task,
            metric=metric,
            families=(family,) if family else None,
        ),
    )
    how = SurfaceOptions(
        law=law,
        loss=loss,
        size={"auto": None, "params": Size.PARAMS, "gflops": Size.GFLOPS}[size],
        max_compute=thresholds if max_compute is None else max_compute,
        refits=refits,
        seed=seed,
    )
    try:
        found, failures = analyse_surfaces(points, how)
    except FitError as error:
        raise ScalingError(f"{db}: {error}") from error
    report: dict[str, list[dict[str, Any]]] = {
        "surfaces": [one.to_json() for one in found],
        "failures": [
            {**one.setting._asdict(), "family": one.family, "reason": one.reason}
            for one in failures
        ],
    }
    if as_json:
        import json

        typer.echo(json.dumps(report, indent=2, allow_nan=False))
    else:
        from scaling.cli.surface_tables import show

        show(report)
