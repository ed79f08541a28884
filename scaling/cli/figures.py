"""`scaling figures`: the study's figures by recipe, of the published or of one's own points."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from scaling.cli import options
from scaling.errors import ScalingError

if TYPE_CHECKING:
    import pandas as pd

    from scaling.database import Database

FORMATS = ("pdf", "png", "svg")


def figures(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME...]", help="Figures, or files of recipes (default: all)."),
    ] = None,
    study: Annotated[
        str | None,
        typer.Option(help="A study of the store (default: the published measurements)."),
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Its training set, instead of the recipes'.")
    ] = None,
    schedule: Annotated[
        str | None, typer.Option(help="Its schedule, instead of the recipes'.")
    ] = None,
    task: Annotated[str | None, typer.Option(help="Its task, instead of the recipes'.")] = None,
    metric: Annotated[
        str | None, typer.Option(help="Its metric, instead of the recipes'.")
    ] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder to write to.")] = Path(
        "figures"
    ),
    column: Annotated[
        Literal["single", "double"], typer.Option(help="Width: one or two columns of a paper.")
    ] = "double",
    formats: Annotated[str, typer.Option(help="Of pdf, png and svg, by commas.")] = "pdf,png",
    db: options.Database = options.RESULTS,
    as_json: options.Json = False,
) -> None:
    """Draw the figures of the reference study, each with the numbers behind it.

    Of each figure: pictures, NAME.csv with every point, law and interval in it, and NAME.tex with
    the laws as a table. With --study the same recipes are drawn of that study; where it names its
    task, dataset or schedule otherwise, say so. What it lacks is skipped, and said.
    """
    from scaling.figures import Override, draw, recipes, write

    chosen = _formats(formats)
    wanted = recipes(names or ())
    override = Override(task=task, metric=metric, dataset=dataset, schedule=schedule)
    points = _points(study, db)
    made = []
    for name, recipe in wanted.items():
        figure = draw(name, recipe, points, override)
        paths = write(figure, output, column, chosen) if figure.panels else ()
        made.append((figure, paths))
        for reason in figure.skipped:
            typer.echo(f"{name}: skipped: {reason}", err=True)
        if paths and not as_json:
            typer.echo(f"{name}: {', '.join(map(str, paths))}")
    if as_json:
        import json

        report = [
            {
                "name": figure.name,
                "shows": figure.shows,
                "files": [str(path) for path in paths],
                "laws": [law for panel in figure.panels for law in panel.coefficients()],
                "skipped": list(figure.skipped),
            }
            for figure, paths in made
        ]
        typer.echo(json.dumps(report, indent=2, allow_nan=False))
    if not any(paths for _, paths in made):
        raise ScalingError(
            "no figure could be drawn: nothing of what the recipes name was measured; "
            "see --task, --metric, --dataset and --schedule"
        )


def _formats(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    wrong = [name for name in names if name not in FORMATS]
    if wrong:
        raise ScalingError(
            f"--formats: {', '.join(map(repr, wrong))} is none of {', '.join(FORMATS)}"
        )
    return names


def _points(study: str | None, db: "Database") -> "pd.DataFrame":
    if study is None:
        from scaling.figures.published import published_points

        return published_points()
    from scaling.points import Selection, load_points

    return load_points(db, Selection(study=study, metric="all"))[0]
