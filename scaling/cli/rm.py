"""`scaling rm`: take a study out of the store."""

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from scaling.cli import options

if TYPE_CHECKING:
    from scaling.database import Database
    from scaling.storage import Storage
    from scaling.store.removal import Removal


def rm(
    study: Annotated[str, typer.Option("--study", metavar="S", help="The study that goes.")],
    checkpoint_files: Annotated[
        bool,
        typer.Option("--checkpoints", help="Also delete the files of its trials' checkpoints."),
    ] = False,
    root: Annotated[
        str | None,
        typer.Option(
            "--checkpoints-at",
            metavar="PATH|URI",
            help="Where checkpoints are (default: where the last run had them).",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go; remove nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    db: options.Database = options.RESULTS,
    as_json: options.Json = False,
) -> None:
    """Remove study S from the store: its cells, and the trials that no other study needs.

    It says what goes and asks first; where nobody can answer it needs --yes. Measurements of a
    trial that another study asks for stay. Files of checkpoints stay unless --checkpoints, but
    the store does not know them any more. All of it happens or nothing, and not while a run
    writes the store.
    """
    from scaling.errors import ScalingError
    from scaling.store import Store

    with Store.read(db) as reader:  # Not to make a store where there is none.
        found = reader.removal(study)
    if dry_run:
        _tell(found, files=checkpoint_files, as_json=as_json, removed=False)
        return
    with Store(db) as store:
        found = store.removal(study)
        storage = _storage(found, db, root) if checkpoint_files else None
        if not yes:
            if as_json or not sys.stdin.isatty():
                raise ScalingError("nobody can be asked here: say --yes, or --dry-run to see it")
            _tell(found, files=checkpoint_files, as_json=False, removed=False)
            if not typer.confirm("Remove it?"):
                typer.echo("nothing was removed", err=True)
                raise typer.Exit(1)
        store.remove(found)
    # After the rows: whoever is killed in between leaves files that nothing refers to, and no
    # row without its file.
    for each in found.checkpoints if storage else ():
        assert storage
        storage.delete(each.path)
    _tell(found, files=checkpoint_files, as_json=as_json, removed=True)


def _storage(found: "Removal", db: "Database", root: str | None) -> "Storage | None":
    from scaling.cli.checkpoints import storage_of
    from scaling.errors import StoreError

    for each in found.checkpoints:
        if each.path.is_absolute() or ".." in each.path.parts:
            raise StoreError(
                f"the store is damaged: {each.trial_id} has a checkpoint outside the folder of "
                f"all checkpoints, {each.path}; nothing was removed"
            )
    return storage_of(db, root) if found.checkpoints else None


def _tell(found: "Removal", *, files: bool, as_json: bool, removed: bool) -> None:
    """What goes, or has gone."""
    from scaling.cli.columns import one_line

    size = sum(each.bytes for each in found.checkpoints)
    if as_json:
        plain = {
            "study": found.study,
            "removed": removed,
            "cells": found.cells,
            "trials": list(found.trials),
            "trials_that_stay": list(found.shared),
            "attempts": found.attempts,
            "measurements": found.measurements,
            "checkpoints": [each.path.as_posix() for each in found.checkpoints],
            "checkpoint_bytes": size,
            "files_deleted": removed and files,
        }
        typer.echo(json.dumps(plain, indent=2))
        return
    typer.echo(f"study {one_line(found.study)}: {'removed' if removed else 'what goes'}")
    typer.echo(
        f"  {found.cells:,} cells, {len(found.trials):,} trials with {found.attempts:,} attempts "
        f"and {found.measurements:,} measurements"
    )
    if found.shared:
        typer.echo(f"  {len(found.shared):,} trials stay: other studies need them")
    if found.checkpoints:
        fate = "deleted" if files else "kept, but no row will know them"
        typer.echo(
            f"  {len(found.checkpoints):,} files of checkpoints ({size / 2**20:,.1f} MiB): {fate}"
        )
