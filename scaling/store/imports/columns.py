"""Where the fields of a table are found: a `ColumnMap` against the header of one file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scaling.errors import unknown
from scaling.store.imports.column_map import ColumnMap
from scaling.store.imports.csv_files import name, shown
from scaling.store.imports.fields import COSTS, FIELDS, REQUIRED

_OF_NUMBERS = ("metric", "value")
"""Fields that the metric columns of a wide table stand for."""


@dataclass(frozen=True)
class Columns:
    """Where each field is found."""

    places: Mapping[str, tuple[int, str]]
    """Position and name of the column of each field that varies."""
    constants: Mapping[str, Any]
    """Values of the fields that do not, parsed."""
    metrics: Sequence[tuple[int, str]]
    """Position and name of the metric columns of a wide table."""
    cost: str | None
    """The field that compute is from; None for params."""
    unused: Sequence[str]
    """Columns that nothing is read from."""


def resolve(column_map: ColumnMap, header: Sequence[str]) -> tuple[Columns, list[str]]:
    """The columns, and everything that is wrong with them.

    A column that has a field's own name is that field unless the map says otherwise.
    """
    if not header:
        return Columns({}, {}, (), None, ()), ["is empty; its first line must name the columns"]
    problems = [*_wrong_names(column_map, header)]
    constants = {}
    for field, text in column_map.constants.items():
        try:
            constants[field] = FIELDS[field].parse(text) if field in FIELDS else text
        except ValueError as error:
            problems.append(f"the constant {field}: {shown(text)} {error}")
    taken = {**column_map.constants}
    if column_map.metric_columns:
        taken |= dict.fromkeys(_OF_NUMBERS, "")
    own = [field for field in FIELDS if field in header and field not in taken]
    if any(field in COSTS for field in (*column_map.columns, *column_map.constants)):
        own = [field for field in own if field not in COSTS]
    named = {field: field for field in own} | {**column_map.columns}
    costs = [field for field in COSTS if field in named or field in constants]
    metrics = tuple(dict.fromkeys(column_map.metric_columns))
    problems += _missing({*named, *constants, *(_OF_NUMBERS if metrics else ())}, costs)
    used = {*named.values(), *metrics}
    problems += [
        f"the column {column!r} is there twice"
        for column in sorted(used)
        if list(header).count(column) > 1
    ]
    if problems:
        return Columns({}, {}, (), None, ()), problems
    return Columns(
        places={field: (list(header).index(column), column) for field, column in named.items()},
        constants=constants,
        metrics=[(list(header).index(column), column) for column in metrics],
        cost=costs[0] if costs else None,
        unused=[column for column in header if column not in used],
    ), []


def _wrong_names(column_map: ColumnMap, header: Sequence[str]) -> list[str]:
    fields = [*column_map.columns, *column_map.constants]
    problems = [unknown("field", field, FIELDS) for field in fields if field not in FIELDS]
    problems += [
        f"{field} is mapped to the column {column!r} and set to {column_map.constants[field]!r}"
        for field, column in column_map.columns.items()
        if field in column_map.constants
    ]
    wide = column_map.metric_columns
    asked = [*column_map.columns.items(), *(("a metric", column) for column in wide)]
    problems += [
        f"{field}: {unknown('column', column, header)}"
        for field, column in asked
        if column not in header
    ]
    for column in wide:
        try:
            name(column)
        except ValueError as error:
            problems.append(f"the metric column {shown(column)} {error}")
    if wide:
        problems += [
            f"{field} is given, but the metric columns are the metrics and their values"
            for field in fields
            if field in _OF_NUMBERS
        ]
    elif "value" in column_map.constants:
        problems.append("value is what was measured, a column, and cannot be a constant")
    return problems


def _missing(found: set[str], costs: Sequence[str]) -> list[str]:
    problems = [
        f"nothing gives {field} ({FIELDS[field].meaning}): --map {field}=COLUMN"
        + ("" if field == "value" else f" or --set {field}=VALUE")
        + (
            ", or --metric-columns for a table with a column for each metric"
            if field == "value"
            else ""
        )
        for field in REQUIRED
        if field not in found
    ]
    if not {"model", "params"} & found:
        problems.append(
            "nothing gives model (a size of the family): --map model=COLUMN, or params=COLUMN, "
            "which then names it"
        )
    if len(costs) > 1:
        problems.append(
            f"{' and '.join(costs)} all give compute; map the one to be used: "
            f"--map {costs[0]}=COLUMN"
        )
    if not costs and "params" not in found:
        problems.append(f"nothing gives compute: map params or one of {', '.join(COSTS)}")
    return problems
