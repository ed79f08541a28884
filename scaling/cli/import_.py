"""`scaling import`: other people's results, beside one's own."""

from pathlib import Path
from typing import Annotated

import typer

from scaling.cli import options


def import_(
    path: Annotated[
        Path,
        typer.Argument(help="A folder with measurements.csv and model_profile.csv."),
    ],
    study: Annotated[
        str | None, typer.Option(help="The study to file them under (default: the folder's name).")
    ] = None,
    db: options.Database = options.RESULTS,
    as_json: options.Json = False,
) -> None:
    """Bring published measurements at PATH into the store, under a study of their own.

    Importing twice changes nothing; a file with anything wrong in it changes nothing either.
    """
    from scaling.store import Store
    from scaling.store.importing import import_published, read_published

    published = read_published(path)
    with Store(db) as store:
        summary = import_published(store, published, study=study)
    if as_json:
        import dataclasses
        import json

        typer.echo(json.dumps(dataclasses.asdict(summary), indent=2))
    else:
        typer.echo(str(summary))
