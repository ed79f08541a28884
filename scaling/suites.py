"""Values of suites: means over tasks, computed when measurements are read and never stored."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from scaling.errors import StoreError, unknown
from scaling.evals._suites import SUITES, Suite
from scaling.units import format_count

if TYPE_CHECKING:
    import pandas as pd

    from scaling.numbers import Numbers
    from scaling.store import Filters

_SHOWN = 8
"""Missing members that one message names."""


def members_too(filters: "Filters") -> "Filters":
    """Filters that let through what may enter the numbers of `filters`.

    Of the task that is a suite these are its members and what was recorded under its own name; of
    a metric by which a suite goes, every metric.
    """
    task, metric = filters.get("task"), filters.get("metric")
    wider = filters.copy()
    if isinstance(task, str) and task in SUITES:
        wider |= {"task": (task, *SUITES[task].members), "metric": None}
    elif task is None and metric in {suite.metric for suite in SUITES.values()}:
        wider |= {"metric": None}
    return wider


def member_pairs() -> set[tuple[str, str]]:
    """Every task and metric that enters a suite or is one."""
    members = {pair for suite in SUITES.values() for pair in _pairs(suite)}
    return members | {(suite.name, suite.metric) for suite in SUITES.values()}


def with_suites(numbers: "Numbers", filters: "Filters") -> "pd.DataFrame":
    """The table of those of `numbers` that match the task and metric of `filters`, and of suites.

    A suite has a value where one trial has a value of every member at the same samples seen, and
    none where a value was recorded under the suite's own name (an import).
    Raises `StoreError` that says which members are missing if a suite was asked for and has no
    value at all.
    """
    import pandas as pd

    task, metric = filters.get("task"), filters.get("metric")
    found = pd.concat([numbers.table, *_derived(numbers.table)], ignore_index=True)
    for name, value in (("task", task), ("metric", metric)):
        if value is not None:
            found = found[found[name] == value]
    if found.empty and isinstance(task, str) and task in SUITES:
        suite = SUITES[task]
        if metric not in (None, suite.metric):
            raise StoreError(unknown(f"metric of {task}", str(metric), [suite.metric]))
        raise StoreError(_missing(suite, numbers))
    if found.empty and not numbers.table.empty:
        raise StoreError(unknown("metric", str(metric), set(numbers.table["metric"])))
    return found


def _derived(table: "pd.DataFrame") -> list["pd.DataFrame"]:
    """The values of each suite that has any, by cell."""
    pairs = table[["task", "metric"]].drop_duplicates()
    there = set(zip(pairs["task"], pairs["metric"], strict=True))
    suites = [suite for suite in SUITES.values() if there.issuperset(_pairs(suite))]
    return [means for suite in suites if not (means := _means(suite, table)).empty]


def _means(suite: Suite, table: "pd.DataFrame") -> "pd.DataFrame":
    def of(task: str, metric: str) -> "pd.DataFrame":
        its = table[(table["task"] == task) & (table["metric"] == metric)]
        return its.set_index("cell", drop=False).sort_index()

    first, *others = ((pair, of(*pair)) for pair in _pairs(suite))
    complete = first[1].index
    for _, its in others:
        complete = complete.intersection(its.index)
    complete = complete.difference(of(suite.name, suite.metric).index)
    values = {pair: its["value"].reindex(complete) for pair, its in (first, *others)}
    means = [
        sum(values[task, metric] for metric in metrics) / len(metrics)
        for task, metrics in suite.members.items()
    ]
    derived = first[1].reindex(complete)
    return derived.assign(
        task=suite.name,
        metric=suite.metric,
        value=sum(means) / len(means),
    )


def _pairs(suite: Suite) -> list[tuple[str, str]]:
    return [(task, metric) for task, metrics in suite.members.items() for metric in metrics]


def _missing(suite: Suite, numbers: "Numbers") -> str:
    """Why `suite` has no value."""
    what = f"{suite.name} is the mean of {len(suite.members)} tasks at one checkpoint"
    members = _pairs(suite)
    there: dict[int, set[tuple[str, str]]] = {}
    table = numbers.table
    for place, *pair in zip(table["cell"], table["task"], table["metric"], strict=True):
        if tuple(pair) in members:
            there.setdefault(place, set()).add((pair[0], pair[1]))
    if not there:
        return f"{what}, and none of them was measured: {_some(list(suite.members))}"
    best = max(sorted(there), key=lambda cell: len(there[cell]))
    cell: Any = numbers.cells.iloc[best]
    lacking = [
        f"{task} ({metric})" for task, metric in members if (task, metric) not in there[best]
    ]
    return (
        f"{what}, and no checkpoint has all of them; closest is {cell['trial']} at "
        f"{format_count(int(cell['samples_seen']))} samples seen, without {_some(lacking)}"
    )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
