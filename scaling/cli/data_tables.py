"""What `scaling data` found, for people."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from scaling.datasets._shard_tools.check_summary import CheckSummary, Distribution
    from scaling.datasets._shard_tools.repack import Repacked

_SHOWN = 10
"""Faults that are listed; JSON has them all."""


def show_check(summary: "CheckSummary") -> None:
    """Print what shards hold, and then what is wrong with them."""
    formats = ", ".join(f"{count:,} {name}" for name, count in summary.formats.items())
    lines = [
        ("samples", f"{summary.samples:,} in {summary.shards:,} shards"),
        ("pictures", formats or "none"),
        ("shorter side", _quantiles(summary.shorter_side, "px")),
        ("longer side", _quantiles(summary.longer_side, "px")),
        ("captions", f"{summary.captions:,}, of which {summary.empty_captions:,} are empty"),
        ("words", _quantiles(summary.words)),
        ("tokens", _quantiles(summary.tokens)),
        ("read", f"{summary.samples_per_second:,.0f} samples/s"),
    ]
    for name, text in lines:
        if text:
            typer.echo(f"{name:14}{text}")
    _list(f"missing shards: {len(summary.missing):,}", summary.missing)
    damaged = sum(not fault.key for fault in summary.faults)
    counted = {
        "broken": summary.broken,
        "without image": summary.without_image,
        "without caption": summary.without_caption,
        "damaged shards": damaged,
    }
    _list(
        ", ".join(f"{what}: {count:,}" for what, count in counted.items() if count),
        [
            f"{fault.shard}: {f'sample {fault.key}: ' if fault.key else ''}{fault.reason}"
            for fault in summary.faults
        ],
    )
    if summary.duplicate_keys:
        _list(f"keys that were there before: {summary.duplicate_keys:,}", summary.duplicates)
    if not (summary.missing or summary.faults):
        typer.echo("nothing is broken")


def show_repack(done: "Sequence[Repacked]", folder: Path) -> None:
    """Print how much was written, and what was left out."""
    there = sum(one.was_there for one in done)
    samples, shrunk = sum(one.samples for one in done), sum(one.shrunk for one in done)
    typer.echo(
        f"{samples:,} samples in {len(done):,} shards in {folder}"
        + (f" ({there:,} shards were there)" if there else "")
        + f": {shrunk:,} pictures made smaller, {samples - shrunk:,} kept as they were"
    )
    skipped = [
        f"{one.shard}: {f'sample {key}: ' if key else ''}{reason}"
        for one in done
        for key, reason in one.skipped
    ]
    _list(f"left out: {len(skipped):,}", skipped)


def _quantiles(distribution: "Distribution", unit: str = "") -> str:
    if not distribution:
        return ""
    found = ", ".join(f"{name} {value:,}" for name, value in distribution.items())
    return f"{found} {unit}".rstrip()


def _list(heading: str, lines: Sequence[str]) -> None:
    if not lines:
        return
    typer.echo(heading)
    for line in lines[:_SHOWN]:
        typer.echo(f"  {line}")
    if len(lines) > _SHOWN:
        typer.echo(f"  and {len(lines) - _SHOWN:,} more (--json lists all)")
