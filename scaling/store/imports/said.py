"""What people say of runs whose files do not say it: by options, a mapping file, or patterns."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from scaling.errors import DataError, unknown
from scaling.store.imports.column_map import ColumnMap
from scaling.store.imports.csv_files import name, positive, shown
from scaling.store.imports.fields import FIELDS, count

RUN_FIELDS: Mapping[str, tuple[Callable[[str], Any], str]] = {
    "family": (name, "what is compared: an architecture, a training procedure"),
    "model": (name, "a size of the family"),
    "dataset": (name, "what was trained on"),
    "schedule": (name, "how the learning rate went: cosine, const, const-cooldown"),
    "samples_seen": (count, "samples trained on at this checkpoint"),
    "samples_per_epoch": (count, "samples of an epoch; a checkpoint epoch_N.pt has seen N times"),
    "epoch": (count, "the epoch after which the checkpoint was saved"),
    "epochs": (count, "epochs that the schedule was planned for"),
    "seed": (FIELDS["seed"].parse, "a number that tells repeated runs apart"),
    "trial": (name, "a name of the run"),
    "params": (count, "parameters of the model"),
    "gflops_per_sample": (positive, "forward GFLOPs per sample"),
}
"""Parser and meaning of each field that may be said."""


def said_of(column_map: ColumnMap, texts: Sequence[str]) -> dict[str, Any]:
    """The fields that patterns find in `texts` (paths), and those of `--set` for the others.

    Raises `DataError` for a pattern that is wrong, a field that there is not, or a value that
    cannot be.
    """
    if column_map.columns or column_map.metric_columns:
        raise DataError("this format has its own columns; --map is for tables")
    found: dict[str, str] = {**column_map.constants}
    for pattern in compiled(column_map.patterns):
        match = next((hit for text in texts if (hit := pattern.search(text))), None)
        if match:
            found |= {field: text for field, text in match.groupdict().items() if text}
    problems = [unknown("field", field, RUN_FIELDS) for field in found if field not in RUN_FIELDS]
    values = {}
    for field, text in found.items():
        try:
            values[field] = RUN_FIELDS[field][0](text) if field in RUN_FIELDS else text
        except ValueError as error:
            problems.append(f"{field}: {shown(text)} {error}")
    if problems:
        raise DataError("\n  ".join(problems))
    return values


def compiled(patterns: Iterable[str]) -> list[re.Pattern[str]]:
    """The regular expressions; raises `DataError` for one that is none, or has no named group."""
    found = []
    for pattern in patterns:
        try:
            expression = re.compile(pattern)
        except (re.error, OverflowError, RecursionError) as error:
            message = f"--pattern: {pattern!r} is not a regular expression: {error}"
            raise DataError(message) from error
        if not expression.groupindex:
            raise DataError(
                f"--pattern: {pattern!r} names no field; write it as "
                "'(?P<family>[a-z]+)_(?P<dataset>[a-z0-9]+)'"
            )
        found.append(expression)
    return found


def lacking(fields: Iterable[str]) -> list[str]:
    """What to say of `fields` that nothing gives."""
    return [
        f"nothing says {field} ({RUN_FIELDS[field][1]}): --set {field}=VALUE, or "
        f"--pattern '...(?P<{field}>...)...' for what paths say"
        for field in fields
    ]
