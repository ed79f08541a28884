"""`scaling backtest`: how well laws would have predicted compute that came later."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scaling.cli import options
from scaling.cli.plot import check_output, save
from scaling.errors import ScalingError

if TYPE_CHECKING:
    from fitting.series import Series
    from fitting.validate import Backtest
    from scaling.database import Database
    from scaling.points import Selection


def backtest(
    study: options.Study = None,
    dataset: options.DatasetName = None,
    schedule: options.ScheduleName = None,
    task: options.TaskName = None,
    metric: options.MetricName = None,
    family: Annotated[
        list[str] | None, typer.Option(metavar="NAME ...", help="Only these families.")
    ] = None,
    law: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME ...",
            help="The laws to test (default: all there are), each with what differs from the "
            "defaults after commas: anchored,weights=power:0.5,prior=weak.",
        ),
    ] = None,
    frontier: options.Frontier = "bins",
    thresholds: Annotated[
        list[float] | None,
        typer.Option(
            metavar="GFLOPS ...",
            help="Total computes to train up to (default: the powers of 2, one after another).",
        ),
    ] = None,
    min_train: Annotated[
        float | None,
        typer.Option(
            metavar="GFLOPS",
            help="Compute that training must reach (default: 1/128 of the largest, and with "
            "--thresholds nothing).",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Also draw it: a .png, .pdf or .svg file."),
    ] = None,
    db: options.Database = options.RESULTS,
    as_json: options.Json = False,
) -> None:
    """Cut every series at a compute, fit what lies below and predict what lies above.

    Every law is fitted to the same cells and predicts the same points: those of the full data's
    frontier above the cut. Nothing above it takes part in a frontier, a fit or a choice.
    """
    from scaling.points import Selection

    if output is not None:
        check_output(output)
    selection = Selection(
        study=study,
        dataset=dataset,
        schedule=schedule,
        task=task,
        metric=metric,
        families=tuple(family) if family else None,
    )
    tested = run_backtest(
        db, selection, laws=law, frontier=frontier, thresholds=thresholds, min_train=min_train
    )
    report = tested.to_json()
    if output is not None:
        from fitting.backtest_plot import figure_backtest

        save(figure_backtest(report), output)
    if as_json:
        import json

        typer.echo(json.dumps(report, indent=2, allow_nan=False))
    else:
        from scaling.cli.backtest_tables import show

        show(report)


def run_backtest(
    db: "Database",
    selection: "Selection",
    *,
    laws: Sequence[str] | None,
    frontier: str,
    thresholds: Sequence[float] | None,
    min_train: float | None,
) -> "Backtest":
    """Load the points and test the laws; what cannot be tested is a `ScalingError`."""
    from fitting import FitError
    from fitting.validate import backtest as test
    from fitting.validate_named import estimators_named
    from scaling.points import load_points

    points, _ = load_points(db, selection)
    try:
        return test(
            points,
            estimators_named(laws or None, frontier=frontier),
            origins=thresholds or "rolling",
            min_train=min_train,
            watch=_progress,
        )
    except FitError as error:
        raise ScalingError(str(error)) from error


def _progress(series: "Sequence[Series]") -> "Iterator[Series]":
    """Hand on the series, with a bar on stderr that is gone afterwards."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    watched: Iterable[Series] = track(
        series,
        description="backtest",
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    yield from watched
