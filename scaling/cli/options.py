"""Options that several commands share, so that they are spelled and explained the same."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from scaling.database import parse_database

GridFile = Annotated[Path, typer.Argument(metavar="GRID", help="The grid, a YAML file.")]
_DB: dict[str, Any] = {"parser": parse_database, "metavar": "PATH|URL"}
if TYPE_CHECKING:
    from scaling.database import Database as Place

    Database = Annotated[Place, typer.Option("--db")]
    MaybeDatabase = Annotated[Place | None, typer.Option("--db")]
else:
    # Typer knows no unions; what the value becomes is the parser's business.
    Database = Annotated[
        Path,
        typer.Option(
            "--db",
            help="The store of results: a file, or postgresql+psycopg://user@host/database.",
            **_DB,
        ),
    ]
    MaybeDatabase = Annotated[
        Path | None,
        typer.Option(
            "--db", help="A store: what is done, and how fast models were trained.", **_DB
        ),
    ]
Checkpoints = Annotated[
    str | None,
    typer.Option(
        "--checkpoints",
        metavar="PATH|URI",
        help="Where checkpoints and logs are (default: where the last run had them).",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for other programs.")]
Study = Annotated[str | None, typer.Option(help="Only this study.")]
DatasetName = Annotated[str | None, typer.Option("--dataset", help="Only this training set.")]
ScheduleName = Annotated[str | None, typer.Option("--schedule", help="Only this schedule.")]
TaskName = Annotated[str | None, typer.Option("--task", help="Only this evaluation task.")]
MetricName = Annotated[
    str | None,
    typer.Option("--metric", help="Only this metric; 'all' for every one (default: main ones)."),
]
Compare = Annotated[
    list[str] | None,
    typer.Option(metavar="A B ...", help="What to compare (see --by), the baseline first."),
]
Frontier = Annotated[
    str,
    typer.Option(
        help="How the frontier is taken: bins, published, pareto, hull, or model (all cells, "
        "moved to it by a fitted surface)."
    ),
]
CompareBy = Annotated[
    Literal["family", "dataset", "schedule"],
    typer.Option("--by", help="What A and B are; datasets and schedules are paired by cell."),
]
MaxCompute = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        metavar="GFLOPS",
        help="Fit to measurements of at most this total compute; those above are held out and "
        "check the law (default: what the grid says under held_out).",
    ),
]
Calibrate = Annotated[
    bool,
    typer.Option(
        "--calibrate/--no-calibrate",
        help="Widen intervals of a new run by what a backtest teaches of the other series of the "
        "study, whatever else was selected; of the law, never.",
    ),
]
SurfaceLaw = Annotated[
    Literal["chinchilla", "saturating"] | None,
    typer.Option(
        "--surface",
        help="The law of model size and samples seen (default: chinchilla for losses, saturating "
        "for fractions).",
    ),
]


def _only(name: str, what: str) -> Any:
    return typer.Option(f"--{name}", metavar="NAME", help=f"Only {what} (repeat for several).")


Studies = Annotated[list[str] | None, _only("study", "this study")]
Families = Annotated[list[str] | None, _only("family", "this family")]
Models = Annotated[list[str] | None, _only("model", "this model")]
Datasets = Annotated[list[str] | None, _only("dataset", "this training set")]
Schedules = Annotated[list[str] | None, _only("schedule", "this schedule")]
Tasks = Annotated[list[str] | None, _only("task", "this evaluation task")]
Metrics = Annotated[list[str] | None, _only("metric", "this metric")]
Sources = Annotated[list[str] | None, _only("source", "'own' trials, or those imported from it")]
States = Annotated[list[str] | None, _only("state", "trials in this state: complete, imported")]
RESULTS = Path("results.db")
