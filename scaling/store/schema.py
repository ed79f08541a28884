"""The tables and columns of the store with what they mean, as `scaling.store.tables` has it."""

import ast
import inspect
from dataclasses import dataclass

from scaling.store import tables


@dataclass(frozen=True)
class ColumnMeaning:
    """One column."""

    name: str
    type: str
    is_optional: bool
    refers_to: str | None
    """A column of another table, as 'trial.id'."""
    meaning: str
    """One paragraph; empty where the name says it all."""


@dataclass(frozen=True)
class TableMeaning:
    """One table."""

    name: str
    meaning: str
    columns: tuple[ColumnMeaning, ...]
    unique: tuple[str, ...]
    """The columns that tell its rows apart."""


def schema() -> list[TableMeaning]:
    """All tables, in the order in which `scaling.store.tables` defines them.

    What they mean is what is written below them there, so it is said once.
    """
    definitions = {
        node.name: node
        for node in ast.parse(inspect.getsource(tables)).body
        if isinstance(node, ast.ClassDef)
    }
    found = []
    for mapper in tables.Row.registry.mappers:
        name = mapper.class_.__name__
        found.append((definitions[name].lineno, _table(mapper.class_, definitions[name])))
    return [table for _, table in sorted(found, key=lambda each: each[0])]


def _table(row: type[tables.Row], definition: ast.ClassDef) -> TableMeaning:
    meanings = _meanings(definition)
    table = tables.Row.metadata.tables[row.__tablename__]
    columns = [
        ColumnMeaning(
            name=column.name,
            type=str(column.type).partition("(")[0].lower(),
            is_optional=bool(column.nullable),
            refers_to=next((key.target_fullname for key in column.foreign_keys), None),
            meaning=meanings.get(column.name, ""),
        )
        for column in table.columns
    ]
    primary = tuple(column.name for column in table.primary_key.columns)
    return TableMeaning(
        name=table.name,
        meaning=ast.get_docstring(definition) or "",
        columns=tuple(columns),
        unique=tuple(getattr(row, "natural_key", primary)),
    )


def _meanings(definition: ast.ClassDef) -> dict[str, str]:
    """The string below each field, in one line."""
    found = {}
    for field, below in zip(definition.body, definition.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            value = below.value if isinstance(below, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                found[field.target.id] = " ".join(value.value.split())
    return found
