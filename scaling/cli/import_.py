"""`scaling import`: other people's results, beside one's own."""

from pathlib import Path
from typing import Annotated

import typer

from scaling.cli import options


def import_(
    path: Annotated[
        Path,
        typer.Argument(
            help="A CSV or Parquet file, or a folder with measurements.csv and model_profile.csv."
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
    file_format: Annotated[
        str,
        typer.Option("--format", help="published, export, table, or auto: by what is at PATH."),
    ] = "auto",
    study: Annotated[
        str | None, typer.Option(help="The study to file them under (default: PATH's name).")
    ] = None,
    db: options.Database = options.RESULTS,
    as_json: options.Json = False,
) -> None:
    """Bring measurements at PATH into the store, under a study of their own.

    Importing twice changes nothing; a file with anything wrong in it changes nothing either.

    A table needs the fields family, dataset, schedule, task, metric, value and samples_seen
    (samples or tokens), model or params, and its compute: compute_gflops or compute_flops (total,
    forward), training_flops (total, 3 x forward), gflops_per_sample (forward), or else params, at
    2 FLOPs per parameter and token. Optional: trial and seed, which tell training runs apart, and
    source. Counts may be written 12.8M, 300B, 1.4T.
    """
    from scaling.store import Store
    from scaling.store.imports import ColumnMap, read, record
    from scaling.store.imports.column_map import parse_pairs

    columns = ColumnMap.load(map_file) if map_file else ColumnMap()
    columns = columns.updated(
        ColumnMap(
            columns=parse_pairs("--map", column or []),
            constants=parse_pairs("--set", constant or []),
            metric_columns=tuple(
                name.strip() for word in metric_columns or [] for name in word.split(",")
            ),
        )
    )
    imported = read(path, file_format, columns)
    with Store(db) as store:
        summary = record(store, imported, study=study)
    if save_map:
        columns.save(save_map)
        typer.echo(f"wrote {save_map}", err=True)
    if as_json:
        import dataclasses
        import json

        typer.echo(json.dumps(dataclasses.asdict(summary), indent=2))
    else:
        typer.echo(str(summary))
