"""Values of suites: means over tasks, computed when measurements are read and never stored."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from scaling.errors import StoreError, unknown
from scaling.evals._suites import SUITES, Suite
from scaling.store import Compute, Filters, Reader
from scaling.units import format_count

Row = dict[str, Any]
"""A measurement as `Reader.points` has it."""
Values = dict[tuple[str, str], Row]
"""What one trial measured at one checkpoint, by task and metric."""

_CHECKPOINT = (
    "study",
    "dataset",
    "schedule",
    "family",
    "model",
    "samples_seen",
    "seed",
    "trial",
)
_SHOWN = 8
"""Missing members that one message names."""


def measured(store: Reader, compute: Compute, filters: Filters) -> list[Row]:
    """What may enter the points of `filters`: `Reader.points`, and the members of suites.

    Of the task that is a suite these are its members and what was recorded under its own name; of
    a metric by which a suite goes, every metric.
    Raises `StoreError` if nothing matches because a filter names what is not there.
    """
    task, metric = filters.get("task"), filters.get("metric")
    wider = filters.copy()
    if isinstance(task, str) and task in SUITES:
        wider |= {"task": (task, *SUITES[task].members), "metric": None}
    elif task is None and metric in {suite.metric for suite in SUITES.values()}:
        wider |= {"metric": None}
    return store.points(compute=compute, **wider)


def with_suites(rows: Sequence[Row], filters: Filters) -> list[Row]:
    """Those of `rows` that match the task and the metric of `filters`, and the suites' values.

    A suite has a value where one trial has a value of every member at the same samples seen, and
    none where a value was recorded under the suite's own name (an import).
    Raises `StoreError` that says which members are missing if a suite was asked for and has no
    value at all.
    """
    task, metric = filters.get("task"), filters.get("metric")
    found = [
        row
        for row in [*rows, *_derived(rows)]
        if task in (None, row["task"]) and metric in (None, row["metric"])
    ]
    if not found and isinstance(task, str) and task in SUITES:
        suite = SUITES[task]
        if metric not in (None, suite.metric):
            raise StoreError(unknown(f"metric of {task}", str(metric), [suite.metric]))
        raise StoreError(_missing(suite, rows))
    if rows and not found:
        raise StoreError(unknown("metric", str(metric), {row["metric"] for row in rows}))
    return found


def _derived(rows: Sequence[Row]) -> list[Row]:
    return [
        _mean(suite, values)
        for values in _by_checkpoint(rows)
        for suite in SUITES.values()
        if (suite.name, suite.metric) not in values and not _lacking(suite, values)
    ]


def _by_checkpoint(rows: Sequence[Row]) -> list[Values]:
    found: defaultdict[tuple[Any, ...], Values] = defaultdict(dict)
    for row in rows:
        key = tuple(row[name] for name in _CHECKPOINT)
        found[key][row["task"], row["metric"]] = row
    return list(found.values())


def _lacking(suite: Suite, values: Mapping[tuple[str, str], Row]) -> list[str]:
    """Members without a value."""
    return [
        f"{task} ({metric})"
        for task, metrics in suite.members.items()
        for metric in metrics
        if (task, metric) not in values
    ]


def _mean(suite: Suite, values: Values) -> Row:
    means = [
        sum(values[task, metric]["value"] for metric in metrics) / len(metrics)
        for task, metrics in suite.members.items()
    ]
    task, (metric, *_) = next(iter(suite.members.items()))
    return values[task, metric] | {
        "task": suite.name,
        "metric": suite.metric,
        "value": sum(means) / len(means),
        "evaluation_set": None,
        "skipped_images": None,
    }


def _missing(suite: Suite, rows: Sequence[Row]) -> str:
    """Why `suite` has no value."""
    what = f"{suite.name} is the mean of {len(suite.members)} tasks at one checkpoint"
    checkpoints = [
        values for values in _by_checkpoint(rows) if len(_lacking(suite, values)) < _count(suite)
    ]
    if not checkpoints:
        return f"{what}, and none of them was measured: {_some(list(suite.members))}"
    best = min(checkpoints, key=lambda values: len(_lacking(suite, values)))
    row = next(iter(best.values()))
    lacking = _lacking(suite, best)
    return (
        f"{what}, and no checkpoint has all of them; closest is {row['trial']} at "
        f"{format_count(row['samples_seen'])} samples seen, without {_some(lacking)}"
    )


def _count(suite: Suite) -> int:
    return sum(len(metrics) for metrics in suite.members.values())


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
