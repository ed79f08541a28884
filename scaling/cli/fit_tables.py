"""The answer of `scaling fit` on a terminal: verdicts first, then what they rest on."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from scaling.cli.fit_candidates import show_candidates
from scaling.cli.fit_summary import (
    show_conventions,
    show_sensitivity,
    show_slopes,
    show_summary,
)
from scaling.evals import error_word
from scaling.units import format_gflops

Record = Mapping[str, Any]
_SERIES = ("study", "dataset", "schedule", "task", "metric")


def show(report: Mapping[str, Sequence[Record]], console: Console | None = None) -> None:
    """Print the report that `fitting.Analysis.to_json` gives."""
    console = console or Console()
    for series, fits in _by_series(report["fits"]).items():
        console.print(f"[bold]{_title(series)}[/bold]", highlight=False)
        laws = ", ".join(dict.fromkeys(fit["law"] for fit in fits))
        quantity = error_word(series[-1])
        console.print(
            f"  {quantity}(C) = A (C+B)^-alpha + E ({laws}), C in forward GFLOPs", style="dim"
        )
        console.print(Padding(_laws(fits), (0, 0, 0, 2)))
        for fit in fits:
            if fit["status"] != "converged":
                bounds = ", ".join(fit["at_bound"])
                console.print(f"  {fit['family']}: {fit['status']} {bounds}", highlight=False)
        show_candidates(fits, console)
        console.print(Padding(_predictions(fits, quantity), (1, 0, 0, 2)))
        for line in _calibrations(fits):
            console.print(Padding(line, (0, 0, 0, 2)), style="dim", highlight=False)
        for comparison in _by_series(report["comparisons"]).get(series, []):
            console.print(Padding(_comparison(comparison), (1, 0, 0, 2)))
            show_conventions(comparison, console)
            show_slopes(comparison, console)
            show_sensitivity(comparison, console)
            console.print(Padding(f"[bold]{comparison['verdict']}[/bold]", (1, 0, 0, 2)))
        console.print()
    show_summary(report["comparisons"], console)
    failures = report.get("failures", ())
    if failures:
        console.print("[bold]Not fitted[/bold]", highlight=False)
        for failure in failures:
            series = tuple(str(failure[key]) for key in _SERIES)
            console.print(f"  {_title(series)}, {failure['family']}: {failure['reason']}")


def _by_series(records: Sequence[Record]) -> dict[tuple[str, ...], list[Record]]:
    grouped: dict[tuple[str, ...], list[Record]] = {}
    for record in records:
        grouped.setdefault(tuple(str(record[key]) for key in _SERIES), []).append(record)
    return grouped


def _title(series: tuple[str, ...]) -> str:
    study, dataset, schedule, task, metric = series
    return f"{task} {metric} · {dataset} · {schedule} · study {study}"


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for position, heading in enumerate(headings):
        table.add_column(heading, justify="left" if position == 0 else "right", no_wrap=True)
    return table


def _laws(fits: Sequence[Record]) -> Table:
    table = _table("law", "A", "ln B", "alpha", "E", "points", "RMSE", "held-out (n)", "bias")
    for fit in fits:
        held_out = fit["held_out"]
        table.add_row(
            fit["family"],
            *_parameters(fit["parameters"]),
            str(fit["n_points"]),
            f"{fit['rmse']:.4f}",
            f"{held_out['rmse']:.4f} ({fit['n_held_out']})" if held_out else "-",
            f"{held_out['bias']:+.4f}" if held_out else "-",
        )
    return table


def _parameters(parameters: Mapping[str, float | None]) -> list[str]:
    """Those of the four that the law has."""
    styles = {"A": ".4g", "lnB": ".2f", "alpha": ".3f", "E": ".3f"}
    values = {name: parameters.get(name) for name in styles}
    return ["-" if v is None else f"{v:{styles[name]}}" for name, v in values.items()]


def _predictions(fits: Sequence[Record], quantity: str) -> Table:
    computes = [prediction["compute_gflops"] for prediction in fits[0]["predictions"]]
    table = _table(f"predicted {quantity} [95 %]", *(f"at {format_gflops(c)}" for c in computes))
    for fit in fits:
        table.add_row(fit["family"], *(_with_interval(p, "error") for p in fit["predictions"]))
        table.add_row("  a new run", *(_of_a_new_run(p) for p in fit["predictions"]))
    return table


def _of_a_new_run(prediction: Record) -> str:
    low, high = prediction["new_low"], prediction["new_high"]
    # Escaped, for the library takes a word in brackets for markup.
    return "open" if low is None or high is None else f"\\[{low:.4f}, {high:.4f}]"


def _calibrations(fits: Sequence[Record]) -> list[str]:
    """How the intervals of new runs came about, one line for families of which it is the same."""
    families: dict[str, list[str]] = {}
    for fit in fits:
        one = fit["calibration"]
        # What was left out is the series itself, which stands above.
        words = "not calibrated" if one is None else one["words"].split(", without")[0]
        families.setdefault(words, []).append(fit["family"])
    return [f"a new run of {', '.join(names)}: {words}" for words, names in families.items()]


def _comparison(comparison: Record) -> Table:
    a, b = comparison["a"], comparison["b"]
    table = _table(f"{b} against {a}", "better by [95 %]", f"P({b} better)")
    for at in comparison["better_at"]:
        table.add_row(
            f"at {format_gflops(at['compute_gflops'])}",
            _with_interval(at, "difference", sign="+"),
            f"{at['probability_b_better']:.3f}",
        )
    crossing = comparison["crossing_gflops"]
    if crossing is None:
        table.add_row("crossing", "none in range", "")
    else:
        low, high = comparison["crossing_low"], comparison["crossing_high"]
        table.add_row(
            "crossing",
            f"{format_gflops(crossing)} "
            # Escaped, for the library takes a word in brackets for markup.
            f"\\[{'open' if low is None else format_gflops(low)}, "
            f"{'open' if high is None else format_gflops(high)}]",
            "",
        )
    return table


def _with_interval(record: Record, key: str, sign: str = "") -> str:
    if record["low"] is None or record["high"] is None:
        return f"{record[key]:{sign}.4f}"
    return f"{record[key]:{sign}.4f} [{record['low']:{sign}.4f}, {record['high']:{sign}.4f}]"
