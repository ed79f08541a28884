"""All comparisons of `scaling fit` in one table, and what they depend on."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from fitting.compare import BetterAt
from fitting.verdict import winner
from scaling.units import format_gflops

Record = Mapping[str, Any]
_SERIES = ("study", "dataset", "schedule", "task", "metric")


def show_summary(comparisons: Sequence[Record], console: Console) -> None:
    """One row a comparison, in blocks that share contestants, data and schedule."""
    if len(comparisons) < 2:
        return
    console.print(
        "[bold]All comparisons[/bold] (P: the second is better; ?: not decided)", highlight=False
    )
    blocks: dict[tuple[str, ...], list[Record]] = {}
    for one in comparisons:
        shared = ("a", "b", "dataset", "schedule", "study")
        blocks.setdefault(tuple(str(one[name]) for name in shared), []).append(one)
    for (a, b, *where), rows in blocks.items():
        console.print(f"  {b} against {a} · {' · '.join(where)}", highlight=False)
        table = _table("", "crossing", "at", "better by", "P", "ahead")
        for one in rows:
            _add(table, one)
        console.print(Padding(table, (0, 0, 1, 2)))


def _add(table: Table, one: Record) -> None:
    """A line a target: the first also names the task, the second the metric."""
    names, crossings = (one["task"], one["metric"]), _crossing(one)
    for line in range(max(2, len(one["better_at"]))):
        left = (side[line] if line < 2 else "" for side in (names, crossings))
        right = _at(one, one["better_at"][line]) if line < len(one["better_at"]) else ()
        table.add_row(*left, *right)


def _at(one: Record, at: Record) -> tuple[str, ...]:
    probability = at["probability_b_better"]
    ahead = one["b"] if probability >= 0.5 else one["a"]
    best = winner((one["a"], one["b"]), BetterAt(**at))
    decided = not one["doubts"] and best is not None
    return (
        _short(at["compute_gflops"]),
        f"{at['difference']:+.4f}",
        f"{probability:.3f}",
        f"{ahead}{'' if decided else ' ?'}",
    )


def _crossing(one: Record) -> tuple[str, str]:
    if one["crossing_gflops"] is None:
        return "none", ""
    low, high = one["crossing_low"], one["crossing_high"]
    ends = ("open" if end is None else _short(end) for end in (low, high))
    return _short(one["crossing_gflops"]), f"\\[{', '.join(ends)}]"


def _short(gflops: float) -> str:
    return f"{gflops:.1e}".replace("e+", "e")


def show_conventions(comparison: Record, console: Console) -> None:
    """How the crossing moves with the counting of compute, where more than one is known."""
    crossings = comparison.get("crossing_by_compute") or {}
    known = {name: at for name, at in crossings.items() if at is not None}
    if len(known) > 1:
        moved = ", ".join(f"{name} {format_gflops(at)}" for name, at in known.items())
        console.print(f"  crossing by counting of GFLOPs: {moved}", highlight=False)


def show_slopes(comparison: Record, console: Console) -> None:
    """How fast each error falls at the targets."""
    table = _table("slope d ln error / d ln C", comparison["a"], comparison["b"], "difference")
    for at in comparison["slopes"]:
        low, high = at["low"], at["high"]
        interval = "" if low is None or high is None else f" \\[{low:+.3f}, {high:+.3f}]"
        table.add_row(
            f"at {format_gflops(at['compute_gflops'])}",
            *(f"{at[side]:.3f}" for side in ("a", "b")),
            f"{at['difference']:+.3f}{interval}",
        )
    console.print(Padding(table, (1, 0, 0, 2)))


def show_sensitivity(comparison: Record, console: Console) -> None:
    """The comparison under one other choice a row."""
    variants = comparison.get("sensitivity")
    if not variants:
        return
    at = [format_gflops(one["compute_gflops"]) for one in comparison["better_at"]]
    table = _table("one other choice", "", "crossing", *(f"better by at {c}" for c in at))
    last = None
    for one in variants:
        factor = "" if one["factor"] == last else one["factor"]
        last = one["factor"]
        if one["reason"]:
            table.add_row(factor, one["choice"], "not fitted", *("" for _ in at))
            continue
        table.add_row(factor, one["choice"], *_variant(one, comparison["b"]))
    console.print(Padding(table, (1, 0, 0, 2)))


def _variant(one: Record, b: str) -> list[str]:
    crossing = one["crossing_gflops"]
    text = "none" if crossing is None else format_gflops(crossing)
    if crossing is not None and one["overtaker"] != b:
        text += f" ({one['overtaker']})"
    differences = [f"{difference:+.4f}" for difference in one["differences"]]
    if (ranges := one["difference_ranges"]) is not None:
        text += _range(one["crossing_range"], format_gflops)
        differences = [
            f"{text}{_range(ends, lambda value: f'{value:+.4f}')}"
            for text, ends in zip(differences, ranges, strict=True)
        ]
    return [text, *differences]


def _range(ends: Sequence[float | None] | None, write: Any) -> str:
    if ends is None:
        return ""
    low, high = ("open" if end is None else write(end) for end in ends)
    return f"\n\\[{low}, {high}]"


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for position, heading in enumerate(headings):
        is_text = position == 0 or heading in ("", "ahead")
        table.add_column(heading, justify="left" if is_text else "right", overflow="fold")
    return table
