"""`scaling show`: everything that the store has about one trial."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scaling.cli import options

if TYPE_CHECKING:
    from scaling.database import Database
    from scaling.store.listing import Dossier

_BARS = "▁▂▃▄▅▆▇█"
_WIDEST = 60
"""Characters of a curve."""
_OWN = ("family", "model", "kind", "state", "seed", "source")


def show(
    trial: Annotated[
        str,
        typer.Argument(metavar="TRIAL", help="Its id, or as much of it as no other begins with."),
    ],
    db: options.Database = options.RESULTS,
    checkpoints: options.Checkpoints = None,
    as_json: options.Json = False,
) -> None:
    """Show what TRIAL is, where it stands, what was tried, saved and measured, and what it cost.

    TRIAL may be an own trial or an imported one; 'scaling ls trials' lists them.
    """
    from scaling.store import Store

    with Store.read(db) as store:
        found = store.dossier(trial)
    saved = _saved(found, db, checkpoints) if found.checkpoints else []
    if as_json:
        typer.echo(json.dumps(_plain(found, saved), indent=2, default=str))
        return
    _show(found, saved)


def _saved(found: "Dossier", db: "Database", checkpoints: str | None) -> list[dict[str, Any]]:
    """Its checkpoints, and whether each is there and whole as far as its size tells."""
    from scaling.cli.checkpoints import storage_of

    storage = storage_of(db, checkpoints)
    present = storage.sizes(each.path for each in found.checkpoints)
    return [
        {
            "samples_seen": each.samples_seen,
            "bytes": each.bytes,
            "sha256": each.sha256,
            "path": storage.place(each.path),
            "present": present.get(each.path) == each.bytes,
        }
        for each in found.checkpoints
    ]


def _plain(found: "Dossier", saved: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {
        **found.trial,
        "cost": cost(found),
        "cells": found.cells,
        "attempts": found.attempts,
        "checkpoints": saved,
        "measurements": found.measurements,
        "curve": [{"samples_seen": seen, "loss": loss} for seen, loss in found.curve],
        "children": found.children,
    }


def cost(found: "Dossier") -> dict[str, float | None]:
    """Forward GFLOPs up to the last samples seen that are recorded, and seconds of training."""
    seen = [row["samples_seen"] for row in found.measurements]
    seen += [each.samples_seen for each in found.checkpoints]
    per_sample = found.trial["gflops_per_sample_published"]
    seconds = [each["trained_seconds"] for each in found.attempts if each["trained_seconds"]]
    return {
        "samples_seen": max(seen, default=0),
        "gflops": per_sample * max(seen) if per_sample is not None and seen else None,
        "trained_seconds": sum(seconds) if seconds else None,
    }


def _show(found: "Dossier", saved: Sequence[dict[str, Any]]) -> None:
    from scaling.cli.columns import one_line

    trial = found.trial
    typer.echo(one_line(trial["id"]))
    _facts([(name, trial[name]) for name in _OWN])
    if trial["failure"]:
        _facts([("failure", f"{trial['failure_kind']}: {trial['failure']}")])
    _facts([("cost", _cost_in_words(found))])
    if trial["trunk_id"]:
        _facts([("branches off", trial["trunk_id"])])
    for child in found.children:
        _facts([("branch", child)])
    for cell in found.cells:
        unwanted = "" if cell["wanted"] else " (no longer wanted)"
        place = f"{cell['dataset']} {cell['schedule']} at {cell['samples_seen']:,} samples"
        _facts([("asked by", f"study {cell['study']}: {place}{unwanted}")])
    identity = trial["identity"] if isinstance(trial["identity"], dict) else {}
    skipped = (*_OWN, "id")
    typer.echo("identity")
    _facts(_flat({key: its for key, its in identity.items() if key not in skipped}))
    _show_attempts(found)
    _show_saved(saved)
    _show_measured(found)
    if found.curve:
        losses = [loss for _, loss in found.curve]
        typer.echo(f"training loss, {found.curve[0][0]:,} to {found.curve[-1][0]:,} samples")
        typer.echo(f"  {sparkline(losses)}  {losses[0]:.3g} to {losses[-1]:.3g}")


def _facts(pairs: Sequence[tuple[str, object]]) -> None:
    from scaling.cli.columns import one_line

    size = max((len(name) for name, _ in pairs), default=0)
    for name, value in pairs:
        typer.echo(f"  {one_line(name):{max(size, 12)}}  {one_line(str(value))}")


def _flat(mapping: dict[str, Any], before: str = "") -> list[tuple[str, object]]:
    """Nested fields as recipe.batch_size."""
    found: list[tuple[str, object]] = []
    for name, value in mapping.items():
        if isinstance(value, dict):
            found += _flat(value, f"{before}{name}.")
        else:
            found.append((f"{before}{name}", value))
    return found


def _cost_in_words(found: "Dossier") -> str:
    from scaling.units import format_gflops, format_seconds

    its = cost(found)
    parts = [f"{its['samples_seen'] or 0:,.0f} samples seen"]
    if its["gflops"] is not None:
        parts.append(f"{format_gflops(its['gflops'])} forward GFLOPs (published)")
    if its["trained_seconds"] is not None:
        parts.append(f"{format_seconds(its['trained_seconds'])} of training")
    return ", ".join(parts)


def _show_attempts(found: "Dossier") -> None:
    if not found.attempts:
        return
    typer.echo("attempts")
    for each in found.attempts:
        outcome = each["outcome"] or ("ended" if each["ended"] else "not ended")
        parts = [f"{each['number']:>3}  {outcome:11}  {each['started'][:19].replace('T', ' ')}"]
        if each["host"]:
            parts.append(f"{each['host']} ({each['pid']})")
        if each["began_trial"]:
            parts.append(f"from {each['began_trial']} at {each['began_samples_seen']:,}")
        typer.echo("  ".join(parts))
        versions = each["versions"] if isinstance(each["versions"], dict) else {}
        plain = {k: v for k, v in versions.items() if isinstance(v, str)}
        if plain:
            typer.echo("       " + " · ".join(f"{k} {v}" for k, v in plain.items()))


def _show_saved(saved: Sequence[dict[str, Any]]) -> None:
    from scaling.cli.columns import show as columns

    if not saved:
        return
    typer.echo("checkpoints")
    rows = [
        [
            "",
            f"{each['samples_seen']:,}",
            f"{each['bytes'] / 2**20:.1f}",
            each["sha256"][:12],
            each["path"] + ("" if each["present"] else "  (missing, or of another size)"),
        ]
        for each in saved
    ]
    columns(["", "samples", "MiB", "sha256", "path"], rows, right=("samples", "MiB"))


def _show_measured(found: "Dossier") -> None:
    from scaling.cli.columns import show as columns
    from scaling.cli.columns import width_of_terminal

    if not found.measurements:
        return
    typer.echo("measurements")
    rows = [
        ["", f"{each['samples_seen']:,}", each["task"], each["metric"], _number(each["value"])]
        for each in found.measurements
    ]
    head = ["", "samples", "task", "metric", "value"]
    columns(head, rows, right=("samples", "value"), width=width_of_terminal())


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else repr(value)


def sparkline(values: Sequence[float]) -> str:
    """The course of `values` in one line; at most so many that it fits."""
    step = max(1, -(-len(values) // _WIDEST))
    shown = [min(values[start : start + step]) for start in range(0, len(values), step)]
    low, high = min(shown), max(shown)
    scale = (len(_BARS) - 1) / (high - low) if high > low else 0
    return "".join(_BARS[round((value - low) * scale)] for value in shown)
