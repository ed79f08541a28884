"""`scaling import`: other people's results, beside one's own."""

import dataclasses
import json
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scaling.cli import options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scaling.database import ServerURL
    from scaling.store import Store
    from scaling.store.imports import ColumnMap
    from scaling.store.imports.recording import ImportSummary


def import_(
    path: Annotated[
        Path,
        typer.Argument(
            help="A file, or a folder that is searched for files of all formats: CSV, Parquet, "
            "JSON of CLIP_benchmark, log folders of open_clip."
        ),
    ],
    column: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="FIELD=COLUMN ...",
            help="Which column of a table is what: family=model_type params=N "
            "samples_seen=tokens value=val_loss. A column that has a field's own name needs none.",
        ),
    ] = None,
    constant: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="FIELD=VALUE ...",
            help="What no column says and holds for every row: dataset=c4 schedule=cosine "
            "task=lm metric=loss.",
        ),
    ] = None,
    metric_columns: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN ...",
            help="Columns of a wide table, each a metric of its own name: loss_c4 loss_wiki.",
        ),
    ] = None,
    map_file: Annotated[
        Path | None, typer.Option(help="A mapping that --save-map wrote; --map and --set win.")
    ] = None,
    save_map: Annotated[
        Path | None, typer.Option(help="Write the mapping here, as YAML, to be used again.")
    ] = None,
    pattern: Annotated[
        list[str] | None,
        typer.Option(
            metavar="REGEX ...",
            help="What paths of JSON files, checkpoints and log folders say, in named groups: "
            "'(?P<dataset>[^/_]+)_(?P<seed>[0-9]+)/checkpoints'.",
        ),
    ] = None,
    family: Annotated[str | None, typer.Option(help="Short for --set family=.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Short for --set dataset=.")] = None,
    schedule: Annotated[str | None, typer.Option(help="Short for --set schedule=.")] = None,
    samples_per_epoch: Annotated[
        str | None, typer.Option(help="Short for --set samples_per_epoch=.")
    ] = None,
    samples_seen: Annotated[
        str | None, typer.Option(help="Short for --set samples_seen=: of every checkpoint.")
    ] = None,
    percent: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN ...",
            help="Columns of a reference-study table that are in percent, where their numbers "
            "leave it open.",
        ),
    ] = None,
    file_format: Annotated[
        str,
        typer.Option(
            "--format",
            help="published, export, clip-benchmark, open-clip, reference-study, table, or auto: "
            "by what is in each file.",
        ),
    ] = "auto",
    study: Annotated[
        str | None, typer.Option(help="The study to file them under (default: PATH's name).")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would come in, and write nothing.")
    ] = False,
    db: options.Database = options.RESULTS,
    as_json: options.Json = False,
) -> None:
    """Bring measurements at PATH into the store, under a study of their own.

    Importing twice changes nothing; a file with anything wrong in it changes nothing either. In a
    folder that stops no other file, and the exit code is 2.

    A table needs the fields family, dataset, schedule, task, metric, value and samples_seen
    (samples or tokens), model or params, and its compute: compute_gflops or compute_flops (total,
    forward), training_flops (total, 3 x forward), gflops_per_sample (forward), or else params, at
    2 FLOPs per parameter and token. Optional: trial and seed, which tell training runs apart, and
    source.

    JSON of CLIP_benchmark and log folders of open_clip do not say what was trained on. That, and
    family, schedule, samples_seen or samples_per_epoch, epochs, seed, trial, gflops_per_sample are
    found by --pattern in paths, or --set. Counts may be written 12.8M, 300B, 1.4T.
    """
    from scaling.store.imports import ColumnMap, import_tree, read, record
    from scaling.store.imports.formats import format_of_folder

    short = {
        "family": family,
        "dataset": dataset,
        "schedule": schedule,
        "samples_per_epoch": samples_per_epoch,
        "samples_seen": samples_seen,
    }
    columns = _column_map(column, constant, metric_columns, short)
    columns = columns.updated(ColumnMap(patterns=tuple(pattern or ()), percent=_words(percent)))
    if map_file:
        columns = ColumnMap.load(map_file).updated(columns)
    as_tree = path.is_dir() and format_of_folder(path) != "published"
    # Before the store is made: what cannot be read leaves nothing behind.
    imported = None if as_tree else read(path, file_format, columns)
    with _store(db, dry_run=dry_run) as store:
        if imported is None:
            tree = import_tree(
                store, path, columns, name=file_format, study=study, dry_run=dry_run
            )
            typer.echo(json.dumps(tree.as_dict(), indent=2) if as_json else str(tree))
            refused = bool(tree.refused)
        else:
            _show(record(store, imported, study, dry_run=dry_run), dry_run, as_json)
            refused = False
    if save_map:
        columns.save(save_map)
        typer.echo(f"wrote {save_map}", err=True)
    if refused:
        raise typer.Exit(2)


def _column_map(
    column: list[str] | None,
    constant: list[str] | None,
    metric_columns: list[str] | None,
    short: dict[str, str | None],
) -> "ColumnMap":
    """What the options say; raises `DataError` if two of them say different things."""
    from scaling.store.imports import ColumnMap
    from scaling.store.imports.column_map import parse_pairs

    said = [f"{name}={value}" for name, value in short.items() if value is not None]
    return ColumnMap(
        columns=parse_pairs("--map", column or []),
        constants=parse_pairs("--set", [*(constant or []), *said]),
        metric_columns=_words(metric_columns),
    )


def _words(given: list[str] | None) -> tuple[str, ...]:
    return tuple(name.strip() for word in given or [] for name in word.split(","))


@contextmanager
def _store(db: "Path | ServerURL", *, dry_run: bool) -> "Iterator[Store]":
    """The store; for a dry run of what does not exist yet, one that vanishes."""
    from scaling.store import Store

    if dry_run and isinstance(db, Path) and not db.exists():
        with tempfile.TemporaryDirectory() as folder, Store(Path(folder, "dry.db")) as store:
            yield store
    else:
        with Store(db) as store:
            yield store


def _show(summary: "ImportSummary", dry_run: bool, as_json: bool) -> None:
    """Say what came in of one file."""
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(summary) | {"dry_run": dry_run}, indent=2))
    else:
        typer.echo(f"{summary}\n  nothing was written: --dry-run" if dry_run else str(summary))
