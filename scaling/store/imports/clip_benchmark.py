"""CLIP_benchmark's results: JSON, an object for each model, evaluation set and task.

The JSON says what was evaluated and how that went. What was trained is in the params.txt of
open_clip where the file, or the checkpoint that it names, lies in a run's checkpoints folder;
anything else is said by options or patterns.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scaling.errors import DataError
from scaling.store.imports.checkpoints import COMPUTE, epoch_in, place_of, run_in
from scaling.store.imports.column_map import ColumnMap
from scaling.store.imports.csv_files import data_error, name, shown
from scaling.store.imports.json_files import number, objects
from scaling.store.imports.open_clip_params import fields_beside
from scaling.store.imports.records import Imported, Measured, once
from scaling.store.imports.said import said_of
from scaling.store.imports.table import value_of
from scaling.store.imports.task_names import task_name

KEYS = ("dataset", "model", "pretrained", "task", "metrics")


def holds(content: object) -> bool:
    """Whether a JSON value looks like such results, or like a list of them."""
    first = content[0] if isinstance(content, list) and content else content
    return isinstance(first, dict) and {"dataset", "metrics"} <= first.keys()


def read_clip_benchmark(path: Path, column_map: ColumnMap) -> Imported:
    """The measurements in the JSON file at `path`; raises `DataError` with all that is wrong."""
    reader = _Reader(path, column_map)
    measurements, contradictions = once(
        one for place, content in objects(path) for one in reader.measured(place, content)
    )
    problems = reader.problems + contradictions
    if not problems and not measurements:
        problems = ["there is no measurement in it"]
    if problems:
        raise data_error(path, list(dict.fromkeys(problems)))
    undefined = f"{reader.undefined:,} metrics that are NaN, not defined there, left out"
    return Imported(
        path=path,
        measurements_file=path,
        study=path.stem,
        measurements=measurements,
        compute=COMPUTE,
        notes=(undefined,) if reader.undefined else (),
    )


@dataclass
class _Reader:
    """Turns objects into measurements and collects what is wrong with them."""

    path: Path
    column_map: ColumnMap
    problems: list[str] = field(default_factory=list)
    undefined: int = 0
    """Metrics that are NaN."""

    def measured(self, place: str, content: Mapping[str, Any]) -> Iterator[Measured]:
        """The measurements of one object; none if anything is wrong with it."""
        wrong = _wrong_keys(content)
        if wrong:
            self.problems += [f"{place}, {problem}" for problem in wrong]
            return
        pretrained = content["pretrained"]
        found, settings = fields_beside(str(self.path), pretrained)
        try:
            said = said_of(self.column_map, (self.path.as_posix(), pretrained))
        except DataError as error:
            raise DataError(f"{self.path}: {error}") from error
        known = _from_names(content, self.path) | found | said
        where, lacks = place_of(known, settings)
        task = task_name(content["dataset"], content["task"], content.get("language") or "en")
        values = list(self._values(place, content["metrics"]))
        self.problems += [f"{place}: {problem}" for problem in lacks]
        if where is None:
            return
        for metric, value in values:
            yield Measured(
                **vars(where.run),
                place=place,
                samples_seen=where.samples_seen,
                in_fits=where.in_fits,
                task=task,
                metric=metric,
                value=value,
                source=f"CLIP_benchmark: {pretrained}"[:1000],
            )

    def _values(self, place: str, metrics: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
        for metric, written in metrics.items():
            try:
                value = number(written)
                if value is None:
                    self.undefined += 1
                else:
                    yield name(metric), value_of(metric, repr(value))
            except ValueError as error:
                self.problems.append(
                    f"{place}, metrics.{shown(metric)[1:-1]}: {_short(written)} {error}"
                )


def _wrong_keys(content: Mapping[str, Any]) -> list[str]:
    problems = [f"the key {key!r} is missing" for key in KEYS if key not in content]
    for key in ("dataset", "model", "task", "language"):
        if key not in content or (key == "language" and content[key] is None):
            continue
        try:
            name(content[key] if isinstance(content[key], str) else "")
        except ValueError as error:
            problems.append(f"{key}: {_short(content[key])} {error}")
    if not isinstance(content.get("pretrained", ""), str) or "\0" in content.get("pretrained", ""):
        problems.append(f"pretrained: {_short(content['pretrained'])} is not a name or a path")
    if not isinstance(content.get("metrics", {}), dict):
        problems.append(f"metrics: {_short(content['metrics'])} is not an object")
    return problems


def _from_names(content: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Model, run and epoch from the JSON and the names in it."""
    pretrained = content["pretrained"]
    known: dict[str, Any] = {"model": content["model"]}
    epoch = epoch_in(pretrained) or epoch_in(path.name)
    if epoch is not None:
        known["epoch"] = epoch
    with suppress(ValueError, IndexError):
        known["trial"] = name(run_in(pretrained))
    return known


def _short(value: object) -> str:
    try:
        return shown(str(value))
    except ValueError:  # a number of too many digits
        return "a number"
