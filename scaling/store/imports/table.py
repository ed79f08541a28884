"""Any table with a measurement in each row, or several: columns are named by a `ColumnMap`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scaling.evals import is_loss
from scaling.store.imports.column_map import ColumnMap
from scaling.store.imports.columns import Columns, resolve
from scaling.store.imports.csv_files import data_error, fraction, not_negative, shown
from scaling.store.imports.fields import COSTS, FIELDS, FROM_PARAMS, gflops_from_params
from scaling.store.imports.files import read_texts
from scaling.store.imports.records import Imported, Measured, once


def recognises(path: Path) -> bool:
    """Whether `path` is a file."""
    return path.is_file()


def read_table(path: Path, column_map: ColumnMap) -> Imported:
    """The measurements of the CSV or Parquet file at `path`.

    Raises `DataError` with everything that is wrong with the mapping, or else with the rows.
    """
    raw = read_texts(path)
    columns, problems = resolve(column_map, raw.header)
    if problems:
        raise data_error(path, problems)
    reader = _Reader(columns, [*raw.problems])
    measurements, contradictions = once(
        one for place, cells in raw.rows for one in reader.measured(place, cells)
    )
    problems = reader.problems + contradictions
    if not problems and not measurements:
        problems = ["there is no measurement in it"]
    if problems:
        raise data_error(path, problems)
    cost = f"{COSTS[columns.cost][0]} ({columns.cost})" if columns.cost else FROM_PARAMS
    return Imported(
        path=path,
        measurements_file=path,
        study=path.stem,
        measurements=measurements,
        compute=cost,
        notes=_notes(columns, reader),
    )


def _notes(columns: Columns, reader: "_Reader") -> tuple[str, ...]:
    notes = []
    if reader.empty:
        notes.append(f"{reader.empty:,} empty cells of metric columns left out")
    if columns.unused:
        notes.append(f"columns not used: {', '.join(columns.unused)}")
    return tuple(notes)


@dataclass
class _Reader:
    """Turns rows into measurements and collects what is wrong with them."""

    columns: Columns
    problems: list[str]
    empty: int = 0
    """Cells of metric columns with nothing in them."""

    def measured(self, place: str, cells: list[str]) -> Iterator[Measured]:
        """The measurements of one row; none if anything is wrong with it."""
        wrong: list[str] = []
        fields = {**self.columns.constants}
        for field, (position, column) in self.columns.places.items():
            try:
                fields[field] = FIELDS[field].parse(cells[position])
            except ValueError as error:
                wrong.append(f"{place}, {column}: {shown(cells[position])} {error}")
        values = []
        for metric, column, text in self._numbers(fields, cells):
            try:
                values.append((metric, value_of(metric, text)))
            except ValueError as error:
                wrong.append(f"{place}, {column}: {shown(text)} {error}")
        self.problems += wrong
        if not wrong:
            shared = _run(fields, self.columns.cost)
            for metric, value in values:
                yield Measured(place=place, metric=metric, value=value, **shared)

    def _numbers(
        self, fields: Mapping[str, Any], cells: list[str]
    ) -> Iterator[tuple[str, str, str]]:
        """Metric, column and text of each number in a row."""
        for position, column in self.columns.metrics:
            if cells[position]:
                yield column, column, cells[position]
            else:
                self.empty += 1
        if not self.columns.metrics and "metric" in fields and "value" in fields:
            column = self.columns.places["value"][1]
            yield fields["metric"], column, fields["value"]


def value_of(metric: str, text: str) -> float:
    """The value of a metric; raises `ValueError` where it cannot be one."""
    if is_loss(metric):
        return not_negative(text)
    try:
        return fraction(text)
    except ValueError as error:
        raise ValueError(
            f"{error}, as a metric called {metric!r} must be: give fractions, not percent; only "
            "losses (their names contain loss, perplexity, ppl, nll, entropy, bits_per, bpb or "
            "bpc) may be above 1"
        ) from error


def _run(fields: Mapping[str, Any], cost: str | None) -> dict[str, Any]:
    """What a row says of its training run, as `Measured` has it."""
    params, samples = fields.get("params"), fields["samples_seen"]
    model = fields.get("model") or model_name(fields["params"])
    if cost:
        gflops = COSTS[cost][1](fields[cost], samples)
    else:
        gflops = gflops_from_params(fields["params"])
    return {
        "family": fields["family"],
        "model": model,
        "dataset": fields["dataset"],
        "schedule": fields["schedule"],
        "task": fields["task"],
        "samples_seen": samples,
        "source": fields.get("source", ""),
        "params": params,
        "gflops_per_sample": gflops,
        "seed": fields.get("seed", 0),
        "trial": fields.get("trial"),
    }


def model_name(params: int) -> str:
    """A name for a model of so many parameters, different for different ones: 70M, 1.6715B."""
    for suffix, factor in (("T", 10**12), ("B", 10**9), ("M", 10**6), ("K", 10**3)):
        if params >= factor and params % (factor // 1000) == 0:
            return f"{params / factor:.12g}{suffix}"
    return str(params)
