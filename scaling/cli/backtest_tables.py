"""The answer of `scaling backtest` on a terminal: scores by extrapolation, then by series."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from scaling.units import format_gflops

Record = Mapping[str, Any]
_SERIES = ("study", "dataset", "schedule", "task", "metric", "family")
_BELOW = (0, 0, 1, 2)


def show(report: Mapping[str, Any], console: Console | None = None) -> None:
    """Print the report that `fitting.validate.Backtest.to_json` gives."""
    console = console or Console()
    level = f"{100 * report['options']['level']:g} %"
    console.print("[bold]Held-out error by extrapolation[/bold]", highlight=False)
    console.print(
        "Predicted minus measured, in hundredths: percentage points of an error, 0.01 of a loss. "
        f"law, run: share of points inside the {level} interval of the law and of one new run, "
        "and its median half-width.",
        style="dim",
    )
    choice = report["choice"]
    console.print(Padding(_by_ratio([*report["by_ratio"], *choice["by_ratio"]]), _BELOW))
    if choice["chosen"]:
        names = ", ".join(f"{name} for {value}" for value, name in choice["chosen"].items())
        console.print(
            f"chosen, each {choice['left_out']} by the points of the others: {names}\n",
            highlight=False,
        )
    if report["options"]["origins"] != "rolling":
        console.print("[bold]Held-out error by series[/bold]", highlight=False)
        console.print(Padding(_by_series(report["by_series"]), _BELOW))
    console.print("[bold]Intervals of one new run, calibrated[/bold]", highlight=False)
    covered = [one for one in report["calibrated_coverage"] if one["left_out"] == "series"]
    if covered:
        console.print(
            "Share of points inside, before and after widening by a factor that other series "
            "gave (those of the same task, if they suffice); claimed: after, where the fit itself "
            "stands by its level.",
            style="dim",
        )
        console.print(Padding(_calibrated(covered), _BELOW))
    console.print(Padding(_factors(report), _BELOW))
    _show_untested(report["untested"], console)


def _table(*headings: str, left: int = 1) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    for position, heading in enumerate(headings):
        is_name = position < left
        table.add_column(
            heading,
            justify="left" if is_name else "right",
            no_wrap=not is_name,
            min_width=10 if heading == "estimator" else None,
            overflow="fold" if is_name else "ellipsis",
        )
    return table


def _by_ratio(scores: Sequence[Record]) -> Table:
    columns = ("points/series", "RMSE", "MAE", "bias", "law", "run")
    table = _table("beyond", "estimator", *columns, left=2)
    last = None
    for score in sorted(scores, key=lambda one: one["ratio_above"]):
        ratio = _ratio(score)
        table.add_row(
            "" if ratio == last else ratio,
            score["estimator"],
            f"{score['n']}/{score['n_series']}",
            *_misses(score),
            _interval(score, "confidence"),
            _interval(score, "prediction"),
        )
        last = ratio
    return table


def _by_series(scores: Sequence[Record]) -> Table:
    table = _table("series", "trained to", "estimator", "points", "RMSE", "MAE", "bias", left=3)
    last = None
    for score in scores:
        series = " ".join(score[key] for key in _SERIES[1:])
        table.add_row(
            "" if series == last else series,
            format_gflops(score["origin_gflops"]),
            score["estimator"],
            str(score["n"]),
            *_misses(score),
        )
        last = series
    return table


def _calibrated(rows: Sequence[Record]) -> Table:
    columns = ("points", "before", "after", "claimed", "half-width")
    table = _table("beyond", "estimator", *columns, left=2)
    last = None
    for one in sorted(rows, key=lambda one: one["ratio_above"]):
        ratio = _ratio(one)
        table.add_row(
            "" if ratio == last else ratio,
            one["estimator"],
            str(one["n"]),
            f"{one['coverage_before']:.2f}",
            f"{one['coverage_after']:.2f}",
            _share(one["claimed_coverage_after"]),
            f"{100 * one['median_half_width_after']:.1f}",
        )
        last = ratio
    return table


def _factors(report: Mapping[str, Any]) -> Table:
    table = _table("estimator", "factor", "learned from points")
    for name in report["options"]["estimators"]:
        learned = [one for one in report["calibration"] if one["estimator"] == name]
        ready = [one for one in learned if one["status"] == "calibrated"]
        table.add_row(
            name,
            _span([one["factor"] for one in ready], ".2f") if ready else "uncalibrated",
            _span([one["n"] for one in ready or learned], "d"),
        )
    return table


def _show_untested(untested: Sequence[Record], console: Console) -> None:
    """A line for each series, whatever the number of folds and estimators that failed."""
    reasons: dict[str, list[str]] = {}
    for one in untested:
        reasons.setdefault(" ".join(str(one[key]) for key in _SERIES[1:]), []).append(
            one["reason"]
        )
    if reasons:
        console.print("[bold]Not tested, or not from every cut[/bold]", highlight=False)
    for series, why in reasons.items():
        more = f" (and {len(why) - 1} more)" if len(why) > 1 else ""
        console.print(f"  {series}: {why[0]}{more}", highlight=False)


def _misses(score: Record) -> tuple[str, str, str]:
    return f"{100 * score['rmse']:.2f}", f"{100 * score['mae']:.2f}", f"{100 * score['bias']:+.2f}"


def _interval(score: Record, which: str) -> str:
    share, half = score[f"{which}_coverage"], score[f"{which}_half_width"]
    return "-" if share is None else f"{share:.2f} ±{100 * half:.1f}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _span(values: Sequence[float], how: str) -> str:
    if not values:
        return "-"
    low, high = min(values), max(values)
    return f"{low:{how}}" if low == high else f"{low:{how}} to {high:{how}}"


def _ratio(record: Record) -> str:
    if record["ratio_up_to"] is None:
        return f">{record['ratio_above']:g}x"
    return f"{record['ratio_above']:g}-{record['ratio_up_to']:g}x"
