"""The laws that `--law auto` and `auto:backtest` chose from, on a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table

Record = Mapping[str, Any]


def show_candidates(fits: Sequence[Record], console: Console) -> None:
    """A row for each law that was tried on each family, best first; nothing if laws were named."""
    listed = [one for fit in fits for one in fit["candidates"]]
    if not listed:
        return
    backtested = any(one["backtest"] for one in listed)
    held_out = any(one["held_out"] for one in listed)
    headings = ["laws tried", "", "AICc diff", "RMSE"]
    headings += ["backtest (n)"] * backtested + ["held-out (n)"] * held_out
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for place, heading in enumerate((*headings, "")):
        table.add_column(heading, justify="left" if place < 2 else "right", no_wrap=True)
    for fit in fits:
        for place, one in enumerate(fit["candidates"]):
            shown = ["" if place else fit["family"], one["law"], _aicc(one), _rmse(one)]
            if backtested:
                shown.append(_scored(one["backtest"], one["n_backtest"]))
            if held_out:
                shown.append(_scored(one["held_out"], fit["n_held_out"]))
            table.add_row(*shown, "chosen" if one["chosen"] else "")
    console.print(Padding(table, (1, 0, 0, 2)))
    for fit in fits:
        for note in (note for note in fit["notes"] if "chosen by" in note):
            console.print(Padding(f"{fit['family']}: {note}", (0, 0, 0, 2)), style="dim")


def _aicc(one: Record) -> str:
    above = one["aicc_above_best"]
    return "-" if above is None else f"+{above:.1f}"


def _rmse(one: Record) -> str:
    return "not fitted" if one["rmse"] is None else f"{one['rmse']:.4f}"


def _scored(score: Record | None, n: int) -> str:
    return "-" if score is None else f"{score['rmse']:.4f} ({n})"
