"""`scaling ls`: what is in the store, in lines."""

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from scaling.cli import options

if TYPE_CHECKING:
    from scaling.database import Database


def ls(
    what: Annotated[
        Literal["studies", "trials", "measurements"],
        typer.Argument(metavar="[WHAT]", help="studies, trials or measurements."),
    ] = "studies",
    study: options.Studies = None,
    family: options.Families = None,
    model: options.Models = None,
    dataset: options.Datasets = None,
    schedule: options.Schedules = None,
    task: options.Tasks = None,
    metric: options.Metrics = None,
    source: options.Sources = None,
    state: options.States = None,
    limit: Annotated[
        int, typer.Option(min=0, metavar="N", help="Lines at most; 0 for all (--json: all).")
    ] = 200,
    db: options.Database = options.RESULTS,
    as_json: options.Json = False,
) -> None:
    """List the studies of the store, its trials, or its measurements.

    On a terminal lines are cut to its width; in a pipe they are whole. 'scaling show TRIAL' tells
    everything about one trial, 'scaling export' writes all measurements with everything that
    defines them.
    """
    given = {
        "study": study,
        "family": family,
        "model": model,
        "dataset": dataset,
        "schedule": schedule,
        "task": task,
        "metric": metric,
        "source": source,
        "state": state,
    }
    chosen = {name: values for name, values in given.items() if values}
    rows = _read(db, what, chosen, None if as_json or not limit else limit + 1)
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    cut = bool(limit) and len(rows) > limit
    _show(what, rows[:limit] if cut else rows)
    if cut:
        typer.echo(f"the first {limit:,}; --limit 0 lists all", err=True)


def _read(
    db: "Database", what: str, chosen: dict[str, list[str]], most: int | None
) -> list[dict[str, Any]]:
    """At most so many rows; raises `ScalingError` at a filter that `what` does not have."""
    from dataclasses import asdict
    from itertools import islice

    from scaling.errors import ScalingError, StoreError, unknown
    from scaling.store import Store

    known = {"studies": {"study", "source"}, "trials": set(chosen) - {"task", "metric"}}
    for name in chosen:
        if name not in known.get(what, chosen):
            raise ScalingError(
                f"--{name} does not apply to {what}; `scaling ls measurements` has every filter"
            )
    with Store.read(db) as store:
        if what == "measurements":
            return list(islice(store.tidy(chosen), most))
        if what == "trials":
            return [_plain(row) for row in store.trials(chosen)[:most]]
        studies = [asdict(study) for study in store.studies()]
    for name, key in (("study", "name"), ("source", "source")):
        there = {row[key] for row in studies}
        for value in chosen.get(name, ()):
            if value not in there:
                raise StoreError(unknown(name, value, there))
        studies = [row for row in studies if row[key] in chosen.get(name, there)]
    return studies[:most]


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    words = {name: row[name] and str(row[name]) for name in ("state", "failure_kind")}
    return {**row, **words}


_COLUMNS = {
    "studies": ("name", "source", "cells", "measurements", "held out above", "created"),
    "trials": ("trial", "state", "attempts", "measurements"),
    "measurements": ("study", "trial", "samples", "task", "metric", "value", "GFLOPs"),
}
_RIGHT = ("cells", "attempts", "measurements", "samples", "value", "GFLOPs", "held out above")


def _show(what: str, rows: list[dict[str, Any]]) -> None:
    from scaling.cli.columns import show, width_of_terminal

    lines = {"studies": _study, "trials": _trial, "measurements": _measurement}
    if not rows:
        typer.echo(f"no {what}; `scaling run GRID` and `scaling import PATH` add some", err=True)
        return
    cells = [lines[what](row) for row in rows]
    show(_COLUMNS[what], cells, right=_RIGHT, width=width_of_terminal())


def _study(row: dict[str, Any]) -> list[str]:
    from scaling.units import format_gflops

    above = row["held_out_above_gflops"]
    return [
        row["name"],
        row["source"],
        f"{row['cells']:,}",
        f"{row['measurements']:,}",
        format_gflops(above) if isinstance(above, int | float) else "",
        row["created"][:16].replace("T", " "),
    ]


def _trial(row: dict[str, Any]) -> list[str]:
    failed = row["failure_kind"]
    kind = f" ({failed})" if failed and failed != row["state"] else ""
    return [row["id"], row["state"] + kind, str(row["attempts"]), f"{row['measurements']:,}"]


def _measurement(row: dict[str, Any]) -> list[str]:
    from scaling.units import format_count, format_gflops

    value, gflops = row["value"], row["compute_gflops_published"]
    return [
        row["study"],
        row["trial"],
        format_count(row["samples_seen"]),
        row["task"],
        row["metric"],
        f"{value:.4g}" if isinstance(value, int | float) else repr(value),
        format_gflops(gflops) if gflops is not None else "",
    ]
