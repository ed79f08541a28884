"""Which column of a table is what: given in words, kept in a file."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml

from scaling.errors import DataError, unknown


@dataclass(frozen=True, kw_only=True)
class ColumnMap:
    """Columns and constants by field (`scaling.store.imports.fields.FIELDS`)."""

    columns: Mapping[str, str] = field(default_factory=dict)
    """Names of columns."""
    constants: Mapping[str, str] = field(default_factory=dict)
    """Values that hold for every row."""
    metric_columns: tuple[str, ...] = ()
    """Columns of a wide table, each a metric of its own name."""
    patterns: tuple[str, ...] = ()
    """Regular expressions whose named groups are fields, searched for in paths."""
    percent: tuple[str, ...] = ()
    """Columns that are in percent; they are divided by 100."""

    def updated(self, other: "ColumnMap") -> "ColumnMap":
        """With what `other` says, field by field, in the place of what is said here."""
        said = other.columns.keys() | other.constants.keys()
        return ColumnMap(
            columns={k: v for k, v in self.columns.items() if k not in said} | {**other.columns},
            constants={k: v for k, v in self.constants.items() if k not in said}
            | {**other.constants},
            metric_columns=other.metric_columns or self.metric_columns,
            patterns=other.patterns or self.patterns,
            percent=other.percent or self.percent,
        )

    def save(self, path: Path) -> None:
        """Write a file that `load` reads. Raises `DataError` where that is not possible."""
        given = {
            key: list(value) if isinstance(value, tuple) else dict(value)
            for key, value in asdict(self).items()
            if value
        }
        text = yaml.safe_dump(given, sort_keys=False, allow_unicode=True)
        try:
            path.write_text(
                f"# For `scaling import FILE --map-file {path.name}`.\n{text}", "utf-8"
            )
        except OSError as error:
            raise DataError(f"{path} cannot be written: {error.strerror}") from error

    @staticmethod
    def load(path: Path) -> "ColumnMap":
        """The mapping in the YAML file at `path`; raises `DataError` with all that is wrong."""
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror}") from error
        except (UnicodeDecodeError, yaml.YAMLError) as error:
            raise DataError(f"{path}: is not YAML: {error}") from error
        known = ("columns", "constants", "metric_columns", "patterns", "percent")
        if not isinstance(content, dict):
            raise DataError(f"{path}: is not a mapping with the keys {', '.join(known)}")
        problems = [unknown("key", str(key), known) for key in content if key not in known]
        pairs: dict[str, Any] = {}
        for key in known[:2]:
            pairs[key] = {
                str(name): str(value)
                for name, value in _pairs_of(content.get(key), key, problems).items()
            }
        for key in known[2:]:
            pairs[key] = _list_of(content.get(key), key, problems)
        if problems:
            raise DataError("\n  ".join([f"{path}:", *problems]))
        return ColumnMap(**pairs)


def parse_pairs(option: str, words: Iterable[str]) -> dict[str, str]:
    """`field=value` of each of `words`, in which commas separate several.

    Raises `DataError` with every word that is not of this form, or repeats a field.
    """
    found: dict[str, str] = {}
    problems = []
    for pair in (pair for word in words for pair in word.split(",") if pair.strip()):
        name, equals, value = (part.strip() for part in pair.partition("="))
        if not (name and equals and value):
            problems.append(f"{pair.strip()!r} is not FIELD=VALUE, such as family=model_type")
        elif found.setdefault(name, value) != value:
            problems.append(f"{name} is given twice, as {found[name]!r} and {value!r}")
    if problems:
        raise DataError("\n  ".join([f"{option}:", *problems]))
    return found


def _pairs_of(content: object, key: str, problems: list[str]) -> Mapping[object, object]:
    if content is None:
        return {}
    if isinstance(content, dict) and not any(
        value is None or isinstance(value, dict | list) for value in content.values()
    ):
        return content
    problems.append(f"{key}: is not a list of FIELD: NAME")
    return {}


def _list_of(content: object, key: str, problems: list[str]) -> tuple[str, ...]:
    if content is None:
        return ()
    if not isinstance(content, list):
        problems.append(
            f"{key}: is not a list of {'patterns' if key == 'patterns' else 'columns'}"
        )
        return ()
    return tuple(map(str, content))
