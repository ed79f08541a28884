"""`scaling plot`: error against compute, as a picture."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scaling.cli import options
from scaling.errors import ScalingError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = (".png", ".pdf", ".svg")


def plot(
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Where to: a .png, .pdf or .svg file.")
    ],
    compare: options.Compare = None,
    by: options.CompareBy = "family",
    study: options.Study = None,
    dataset: options.DatasetName = None,
    schedule: options.ScheduleName = None,
    task: options.TaskName = None,
    metric: options.MetricName = None,
    frontier: options.Frontier = "bins",
    max_compute: options.MaxCompute = None,
    curves: Annotated[
        bool, typer.Option("--curves", help="Draw learning curves instead: error against samples.")
    ] = False,
    db: options.Database = options.RESULTS,
) -> None:
    """Draw points, frontier, law, 95 % band, held-out points and crossing, a panel per task.

    The law is solid where it was fitted and dashed beyond. With --curves: error against samples
    seen, a line for each model, a panel for each family.
    """
    from scaling.cli.fit import analyse
    from scaling.points import Selection

    check_output(output)
    contestants = tuple(compare) if compare else None
    selection = Selection(
        study=study,
        dataset=dataset,
        schedule=schedule,
        task=task,
        metric=metric,
        families=contestants if by == "family" else None,
    )
    if curves:
        from fitting.learning_curves import figure_learning_curves
        from scaling.points import load_points

        figure = figure_learning_curves(load_points(db, selection)[0])
    else:
        from fitting.plots import figure_comparison

        analysis = analyse(
            db,
            selection,
            by,
            contestants,
            frontier=frontier,
            max_compute=max_compute,
            calibrate=False,  # no interval of a new run is drawn
        )
        figure = figure_comparison(analysis, analysis.comparisons)
    save(figure, output)


def check_output(output: Path) -> None:
    """Raise `ScalingError` if no figure can be written there, before any work is done."""
    if output.suffix.lower() not in FORMATS:
        raise ScalingError(f"{output}: the name must end in one of {', '.join(FORMATS)}")
    if not output.parent.is_dir():
        raise ScalingError(f"{output}: there is no folder {output.parent}")


def save(figure: "Figure", output: Path) -> None:
    """Write the figure, and say so."""
    try:
        figure.savefig(output)
    except OSError as error:
        raise ScalingError(f"{output} cannot be written: {error.strerror}") from error
    typer.echo(f"wrote {output}", err=True)
