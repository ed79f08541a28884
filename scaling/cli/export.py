"""`scaling export`: the measurements of the store as one table, for pandas, R or a paper."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scaling.cli import options

if TYPE_CHECKING:
    from scaling.database import Database


def export(
    out: Annotated[
        Path | None,
        typer.Argument(metavar="OUT", help="The file to write: *.csv, *.parquet or *.json."),
    ] = None,
    study: options.Studies = None,
    family: options.Families = None,
    model: options.Models = None,
    dataset: options.Datasets = None,
    schedule: options.Schedules = None,
    task: options.Tasks = None,
    metric: options.Metrics = None,
    source: options.Sources = None,
    state: options.States = None,
    git_friendly: Annotated[
        bool,
        typer.Option(
            "--git-friendly",
            help="CSV whose lines change only where results do: sorted, without time, versions, "
            "attempts, states and paths of this machine.",
        ),
    ] = False,
    columns: Annotated[
        bool,
        typer.Option("--columns", help="Show the columns, units and meanings; write nothing."),
    ] = False,
    db: options.Database = options.RESULTS,
) -> None:
    """Write the measurements of the store to OUT: one row a measurement, one column a fact.

    A row has the cell (study, family, model, dataset, schedule, samples_seen, seed), what was
    measured (task, metric, value, error), the compute in three countings, and where it is from.
    Units are in the file: in the fields of Parquet, in the schema of JSON, beside a CSV file in
    OUT-metadata.json. pandas and R read all of them without options.

    'scaling import OUT' brings an export into another store; fits then give the same numbers.
    Means over tasks (suites) are not written, as readers make them again.
    """
    from scaling.errors import DataError
    from scaling.exports import columns_of, write
    from scaling.store import Store

    written = columns_of(git_friendly=git_friendly)
    if columns:
        for column in written:
            unit = f" [{column.unit}]" if column.unit else ""
            typer.echo(f"{column.name}{unit}: {column.description}")
        return
    if out is None:
        raise DataError("name the file to write, e.g. `scaling export results.parquet`")
    if git_friendly and out.suffix.lower() != ".csv":
        raise DataError(f"{out}: --git-friendly is for CSV; name the file *.csv")
    chosen = {
        "study": study or (),
        "family": family or (),
        "model": model or (),
        "dataset": dataset or (),
        "schedule": schedule or (),
        "task": task or (),
        "metric": metric or (),
        "source": source or (),
        "state": state or (),
    }
    with Store.read(db) as store:
        count = write(out, store.tidy(chosen), written, {} if git_friendly else _about(db))
    typer.echo(f"wrote {out} ({count:,} measurements, {len(written)} columns)", err=True)


def _about(db: "Database") -> dict[str, str]:
    from datetime import UTC, datetime
    from importlib.metadata import version

    return {
        "store": str(db),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": version("scaling"),
    }
