"""The answer of `scaling surface` on a terminal: a table of laws for each setting."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table

Record = Mapping[str, Any]
ABREAST = 2
"""Families side by side: their intervals fill a terminal of 80 columns."""
FORMULAS = {
    "chinchilla": "E + A / N^alpha + B / D^beta",
    "saturating": "E + (e0 - E) [1 - (1 - n)(1 - s)], n = 1 / (1 + (N/Gh)^p), s = (1 + D/D0)^-b",
}


def show(report: Mapping[str, Sequence[Record]], console: Console | None = None) -> None:
    """Print the report of `scaling surface --json`: parameters as rows, a column a family."""
    console = console or Console()
    groups: dict[tuple[str, ...], list[Record]] = {}
    for entry in report["surfaces"]:
        groups.setdefault((_title(entry), entry["law"], entry["size_unit"]), []).append(entry)
    for (title, law, unit), entries in groups.items():
        console.print(f"[bold]{title}[/bold]", highlight=False)
        console.print(
            f"  {FORMULAS[law]}; N in {unit}, D in samples seen; {law}, loss "
            f"{entries[0]['loss']}, prior {entries[0]['prior']}",
            style="dim",
            highlight=False,
        )
        for start in range(0, len(entries), ABREAST):
            table = _table(entries[start : start + ABREAST])
            console.print(Padding(table, (0, 0, 1, 2)))
    for failure in report["failures"]:
        console.print(
            f"not fitted: {_title(failure)}, {failure['family']}: {failure['reason']}",
            highlight=False,
        )


def _title(record: Record) -> str:
    where = " · ".join(str(record[key]) for key in ("dataset", "schedule"))
    return f"{record['task']} {record['metric']} · {where} · study {record['study']}"


def _table(entries: Sequence[Record]) -> Table:
    level = 100 * entries[0]["interval"]["level"]
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column(f"[{level:g} %]".replace("[", "\\["), no_wrap=True)
    for entry in entries:
        table.add_column(entry["family"], justify="right", no_wrap=True)
    for name in entries[0]["parameters"]:
        table.add_row(name, *(_interval(entry["parameters"][name]) for entry in entries))
    if entries[0]["optimal_size_exponent"]:
        row = (_interval(entry["optimal_size_exponent"]) for entry in entries)
        table.add_row("best N ~ C^", *row)
    table.add_row("cells", *(str(entry["n_cells"]) for entry in entries))
    table.add_row("RMSE", *(f"{entry['rmse']:.4f}" for entry in entries))
    if any(entry["held_out"] for entry in entries):
        table.add_row("held-out cells", *(str(entry["n_held_out"]) for entry in entries))
        table.add_row("held-out RMSE", *(_score(entry, "rmse", ".4f") for entry in entries))
        table.add_row("held-out bias", *(_score(entry, "bias", "+.4f") for entry in entries))
    if any(entry["status"] != "converged" for entry in entries):
        table.add_row("status", *(_status(entry) for entry in entries))
    return table


def _interval(record: Record) -> str:
    value, low, high = (
        "open" if record[key] is None else f"{record[key]:.4g}" for key in ("value", "low", "high")
    )
    return f"{value} \\[{low}, {high}]"


def _score(entry: Record, key: str, style: str) -> str:
    return f"{entry['held_out'][key]:{style}}" if entry["held_out"] else "-"


def _status(entry: Record) -> str:
    return " ".join([entry["status"].replace("_", " "), ", ".join(entry["at_bound"])]).strip()
