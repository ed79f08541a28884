"""`scaling checkpoints`: the weights of trials, listed and taken elsewhere."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from scaling.cli import options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scaling.database import Database
    from scaling.storage import Storage
    from scaling.store.saved import SavedTrial
    from scaling.trial import Checkpoint
    from scaling.weights.export import Exported

app = typer.Typer(
    help="List the checkpoints of trials, and write their weights for open_clip and others.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Root = Annotated[
    str | None,
    typer.Option(
        "--checkpoints",
        metavar="PATH|URI",
        help="Where checkpoints are (default: beside the store, *.checkpoints, or the address "
        "that the last run was given).",
    ),
]


@app.command("ls", short_help="List checkpoints.")
def ls(
    trial: Annotated[
        str, typer.Argument(metavar="[TRIAL]", help="Only trials whose id begins so.")
    ] = "",
    db: options.Database = options.RESULTS,
    checkpoints: Root = None,
    as_json: options.Json = False,
) -> None:
    """List checkpoints: trial, samples seen, bytes, SHA-256 and path."""
    from scaling.store import Store

    with Store.read(db) as store:
        saved = store.saved_trials(trial)
    storage = storage_of(db, checkpoints)
    rows = [row for its in saved for row in _rows(its.checkpoints, storage)]
    if as_json:
        import json

        typer.echo(json.dumps(rows, indent=2))
    else:
        show(rows)


@app.command("export", short_help="Write weights that open_clip loads.")
def export(
    trial: Annotated[
        str,
        typer.Argument(metavar="TRIAL", help="Its id, or as much of it as no other begins with."),
    ],
    folder: Annotated[Path, typer.Option("--output", "-o", help="The folder to write to.")],
    at: Annotated[
        str | None,
        typer.Option(metavar="SAMPLES", help="Samples seen, as 12.8M (default: the last)."),
    ] = None,
    file_format: Annotated[
        Literal["open-clip", "safetensors"],
        typer.Option("--format", help="epoch_N.pt as open_clip's trainer, or safetensors."),
    ] = "open-clip",
    db: options.Database = options.RESULTS,
    checkpoints: Root = None,
    as_json: options.Json = False,
) -> None:
    """Write the weights of a checkpoint of TRIAL, and the model's configuration for open_clip.

    open_clip loads CLIP, SigLIP and CoCa; MaMMUT and Cap have the names of the reference study's
    released checkpoints. N of epoch_N.pt counts the trial's checkpoints from 1.
    """
    from scaling.store import Store

    with Store.read(db) as store:
        saved = store.saved_trial(trial)
    number, checkpoint = _chosen(saved, at)
    from scaling.weights.export import export as write

    with storage_of(db, checkpoints).fetched(checkpoint) as here:
        exported = write(saved.trial, here, folder, number=number, file_format=file_format)
    if as_json:
        import dataclasses
        import json

        typer.echo(json.dumps(dataclasses.asdict(exported), indent=2, default=str))
    else:
        tell(exported, file_format, _tokenizer(saved))


def show(rows: list[dict[str, Any]]) -> None:
    """Print checkpoints as columns, none of them cut: paths are there to be copied."""
    from scaling.units import format_count

    if not rows:
        typer.echo("no checkpoints yet; `scaling run GRID` makes some", err=True)
        return
    width = max(len(row["trial"]) for row in rows)
    typer.echo(f"{'trial':{width}}  {'samples seen':>12}  {'MiB':>8}  {'sha256':12}  path")
    for row in rows:
        note = "" if row["present"] else "  (missing)"
        typer.echo(
            f"{row['trial']:{width}}  {format_count(row['samples_seen']):>12}  "
            f"{row['bytes'] / 2**20:8.1f}  {row['sha256'][:12]}  {row['path']}{note}"
        )


def tell(exported: "Exported", file_format: str, tokenizer: str) -> None:
    """Say what was written and how it is loaded."""
    folder = exported.weights.parent
    typer.echo(
        f"wrote {exported.weights} ({exported.params:,} parameters of {exported.trial_id} after "
        f"{exported.samples_seen:,} samples)"
    )
    if exported.configuration is None:
        typer.echo("open_clip has no such network; its parameters have the names of its family")
        return
    typer.echo(f"wrote {exported.configuration}\nIn Python:")
    if file_format == "safetensors":
        typer.echo(f"  open_clip.create_model({f'local-dir:{folder}'!r})")
    else:
        typer.echo(f"  open_clip.add_model_config({str(folder)!r})")
        weights = str(exported.weights)
        typer.echo(f"  open_clip.create_model({exported.model!r}, pretrained={weights!r})")
    if tokenizer != "clip":
        typer.echo(
            f"Its captions are read with scaling's tokenizer {tokenizer!r}, which open_clip lacks"
        )


def _rows(checkpoints: "tuple[Checkpoint, ...]", storage: "Storage") -> "Iterator[dict[str, Any]]":
    """Of one trial."""
    present = storage.sizes(checkpoint.path for checkpoint in checkpoints)
    for checkpoint in checkpoints:
        yield {
            "trial": checkpoint.trial_id,
            "samples_seen": checkpoint.samples_seen,
            "bytes": checkpoint.bytes,
            "sha256": checkpoint.sha256,
            "path": storage.place(checkpoint.path),
            "present": checkpoint.path in present,
        }


def storage_of(db: "Database", checkpoints: str | None) -> "Storage":
    """Where the checkpoints of the store at `db` are, or at `checkpoints`."""
    from scaling.database import default_checkpoints
    from scaling.orchestrator.status_file import last_said
    from scaling.storage import Folder, is_address, storage_at

    last = str(last_said(db, checkpoints).get("checkpoints"))
    root = checkpoints or (last if is_address(last) else default_checkpoints(db))
    # Paths of files are shown as the folder was written.
    return storage_at(root) if is_address(root) else Folder(Path(root))


def _chosen(saved: "SavedTrial", at: str | None) -> "tuple[int, Checkpoint]":
    """A checkpoint of the trial and its number, from 1."""
    from scaling.errors import ScalingError
    from scaling.units import format_count, parse_count

    numbered = list(enumerate(saved.checkpoints, start=1))
    if at is None:
        return numbered[-1]
    try:
        samples_seen = parse_count(at)
    except ValueError as error:
        raise ScalingError(f"--at: {error}") from None
    for number, checkpoint in numbered:
        if checkpoint.samples_seen == samples_seen:
            return number, checkpoint
    there = ", ".join(format_count(checkpoint.samples_seen) for _, checkpoint in numbered)
    raise ScalingError(f"--at {at}: {saved.trial.id} has checkpoints at {there}")


def _tokenizer(saved: "SavedTrial") -> str:
    from scaling.families import find_model

    return find_model(saved.trial.family, saved.trial.model).tokenizer
