"""Measured numbers as tables of pandas, with what may enter the points of a fit and no more."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from scaling.database import Database
from scaling.errors import ScalingError
from scaling.evals import MAIN_METRICS
from scaling.evals._catalogue import declared
from scaling.evals._suites import main_metric_of
from scaling.store import Compute, Filters, Metrics, Reader
from scaling.suites import member_pairs

if TYPE_CHECKING:
    import pandas as pd

    from scaling.store.columns import Columns

SHOWN = 5
"""Problems of a store that one message lists."""


@dataclass(frozen=True)
class Numbers:
    """What was measured: a table of cells, and one of their numbers."""

    cells: "pd.DataFrame"
    """Columns: see `scaling.store.columns.Columns`."""
    table: "pd.DataFrame"
    """Columns: cell (a position in `cells`), task, metric, value and epochs; ordered by study,
    dataset, schedule, task, metric, then by cell."""

    def of_cells(self, name: str) -> "pd.Series[Any]":
        """A column of `cells` for each number of `table`."""
        return self.cells[name].take(self.table["cell"].to_numpy()).set_axis(self.table.index)

    def main(self) -> "tuple[pd.Series[bool], pd.Series[bool]]":
        """Whether each number is a main one, and whether its study has such.

        A main metric is what its task declares if the study has that at all, else a usual one.
        """
        task, study = self.table["task"], self.of_cells("study")
        declared_of = {name: main_metric_of(name) for name in task.unique()}
        is_declared = self.table["metric"] == task.map(declared_of)
        has_declared = is_declared.groupby([study, task]).transform("any")
        main = is_declared | (~has_declared & self.table["metric"].isin(MAIN_METRICS))
        return main, study.isin(study[main].unique())


def main_numbers(store: Reader, compute: Compute, filters: Filters) -> Numbers:
    """The main metrics of each study that has one, and what suites are made of; else all.

    What a fit does not ask for stays in the store: tasks report five metrics and more.
    Raises `StoreError` if nothing matches because a filter names what is not there.
    """
    of_tasks = {(task, its) for task in declared("tasks") if (its := main_metric_of(task))}
    metrics = Metrics(MAIN_METRICS, frozenset(of_tasks | member_pairs()))
    numbers = _tables(store.columns(compute, filters, metrics))
    main, _ = numbers.main()
    without = {*numbers.cells["study"].unique()} - {*numbers.of_cells("study")[main].unique()}
    if not without and not numbers.table.empty:
        return numbers
    if len(without) == numbers.cells["study"].nunique():
        return all_numbers(store, compute, filters)
    return _tables(store.columns(compute, filters, replace(metrics, studies=frozenset(without))))


def all_numbers(store: Reader, compute: Compute, filters: Filters) -> Numbers:
    """Every metric. Raises as `main_numbers`."""
    return _tables(store.columns(compute, filters))


def check(db: Database, numbers: Numbers, thresholds: Mapping[str, object]) -> None:
    """Raise `ScalingError` at text in a number's place, which SQLite would let anyone write."""
    found = [
        (f"study {study}", "held_out_above_gflops", value) for study, value in thresholds.items()
    ]
    for name in ("samples_seen", "gflops_per_sample"):
        wrong = _not_numbers(numbers.cells[name])
        found += [(numbers.cells["trial"].iloc[place], name, value) for place, value in wrong]
    for name in ("value", "epochs"):
        for place, value in _not_numbers(numbers.table[name]):
            row = numbers.table.iloc[place]
            trial = numbers.cells["trial"].iloc[row["cell"]]
            found.append((f"{trial}, {row['task']} {row['metric']}", name, value))
    problems = [
        f"{where}: {name} is {value!r}, not a number"
        for where, name, value in found
        if not isinstance(value, int | float)
    ]
    if problems:
        more = [f"and {len(problems) - SHOWN:,} more"] if len(problems) > SHOWN else []
        raise ScalingError("\n  ".join([f"{db} is damaged:", *problems[:SHOWN], *more]))


def _not_numbers(column: "pd.Series[Any]") -> list[tuple[int, object]]:
    """Positions and values of what is neither a number nor missing."""
    if column.dtype.kind in "if" or column.isna().all():
        return []
    return [
        (place, value)
        for place, value in enumerate(column)
        if value is not None and not isinstance(value, int | float)
    ]


def _tables(found: "Columns") -> Numbers:
    import numpy as np
    import pandas as pd

    place = ["study", "dataset", "schedule"]
    cells = pd.DataFrame(
        list(found.cells),
        columns=[
            *place,
            *("family", "model", "samples_seen", "seed", "trial", "gflops_per_sample", "params"),
        ],
    )
    table = pd.DataFrame(found.numbers)
    of_cell = table["cell"].to_numpy(dtype=np.int64)
    setting = cells.groupby(place, sort=False).ngroup().to_numpy()
    task, metric = (pd.factorize(table[name], sort=True)[0] for name in ("task", "metric"))
    order = np.lexsort((of_cell, metric, task, setting[of_cell]))
    return Numbers(cells, table.assign(cell=of_cell).take(order).reset_index(drop=True))
