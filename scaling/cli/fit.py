"""`scaling fit`: laws, held-out error, crossing and verdict, from the store."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scaling.cli import options
from scaling.errors import ScalingError

if TYPE_CHECKING:
    from fitting import Analysis
    from scaling.points import Selection


def fit(
    compare: options.Compare = None,
    study: options.Study = None,
    dataset: options.DatasetName = None,
    schedule: options.ScheduleName = None,
    task: options.TaskName = None,
    metric: options.MetricName = None,
    frontier: Annotated[
        str, typer.Option(help="How the frontier is taken: bins, published or pareto.")
    ] = "bins",
    max_compute: options.MaxCompute = None,
    target: Annotated[
        list[float] | None,
        typer.Option(metavar="GFLOPS ...", help="Total computes at which to predict and compare."),
    ] = None,
    refits: Annotated[
        int, typer.Option(min=100, help="Bootstrap refits behind each interval.")
    ] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    db: options.Database = options.RESULTS,
    as_json: options.Json = False,
) -> None:
    """Fit a law to the frontier of each family, check it on held-out compute, and compare.

    Error is 1 - accuracy. Compute is forward GFLOPs per sample x samples seen. Without --study,
    --dataset, --schedule or --task, everything in the store is fitted, each series by itself.
    """
    from scaling.points import Selection

    analysis = analyse(
        db,
        Selection(
            study=study,
            dataset=dataset,
            schedule=schedule,
            task=task,
            metric=metric,
            families=tuple(compare) if compare else None,
        ),
        frontier=frontier,
        max_compute=max_compute,
        targets=tuple(target or ()),
        refits=refits,
        seed=seed,
    )
    if as_json:
        import json

        typer.echo(json.dumps(analysis.to_json(), indent=2, allow_nan=False))
    else:
        from scaling.cli.fit_tables import show

        show(analysis.to_json())


def analyse(db: Path, selection: "Selection", **how: Any) -> "Analysis":
    """Load, fit and compare; `how` are fields of `fitting.Options`.

    The held-out threshold is the one that each study's grid gave, unless `how` has one. What
    cannot be fitted is a `ScalingError`.
    """
    from fitting import FitError, Options
    from fitting import analyse as fit_all
    from scaling.points import load_points

    families = selection.families
    if families is not None and len(families) < 2:
        raise ScalingError("--compare takes two or more families, e.g. --compare clip mammut")
    points, thresholds = load_points(db, selection)
    if how.get("max_compute") is None:
        how["max_compute"] = thresholds
    try:
        return fit_all(points, Options(**how), compare=families)
    except FitError as error:
        raise ScalingError(str(error)) from error
