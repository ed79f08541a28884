"""open_clip's log folders: params.txt, checkpoints/results.jsonl and out.log of one run."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scaling.errors import DataError
from scaling.store.imports.checkpoints import COMPUTE, place_of
from scaling.store.imports.column_map import ColumnMap
from scaling.store.imports.csv_files import data_error, name, shown
from scaling.store.imports.json_files import json_lines, number, text_of
from scaling.store.imports.open_clip_log import FILE as LOG
from scaling.store.imports.open_clip_log import Log, read_log
from scaling.store.imports.open_clip_params import FILE as PARAMS
from scaling.store.imports.open_clip_params import run_fields
from scaling.store.imports.records import Curve, Imported, Measured, Run, once
from scaling.store.imports.said import said_of
from scaling.store.imports.table import value_of
from scaling.store.imports.task_names import task_name

RESULTS = Path("checkpoints", "results.jsonl")
VALIDATION = "validation"
"""The task of what is measured on a run's own validation data."""
_ZERO_SHOT = re.compile(r"(.+)-zeroshot-val-top([0-9]+)")
_RECALL = re.compile(r"(?:image_to_(text)|text_to_(image))_R@([0-9]+)")
_NOT_METRICS = ("epoch", "num_samples")


def recognises(path: Path) -> bool:
    """Whether `path` is such a folder."""
    return (path / PARAMS).is_file() and ((path / LOG).is_file() or (path / RESULTS).is_file())


def files_of(folder: Path) -> set[Path]:
    """The files in it that are read."""
    return {folder / PARAMS, folder / LOG, folder / RESULTS}


def read_open_clip(folder: Path, column_map: ColumnMap) -> Imported:
    """The measurements and the training loss of the run in `folder`.

    A restarted run evaluates an epoch again; its last evaluation is of the checkpoint that is
    there, and counts. Raises `DataError` with everything that is wrong.
    """
    if not (folder / PARAMS).is_file():
        raise DataError(f"{folder}: is not a log folder of open_clip: it has no {PARAMS}")
    found, settings = run_fields(folder)
    try:
        known: dict[str, Any] = found | said_of(column_map, (folder.resolve().as_posix(),))
    except DataError as error:
        raise DataError(f"{folder}: {error}") from error
    has_log = (folder / LOG).is_file()
    log = read_log(folder / LOG, known.get("samples_per_epoch")) if has_log else Log()
    if log.samples_per_epoch:
        known.setdefault("samples_per_epoch", log.samples_per_epoch)
    known.pop("samples_seen", None)
    end, lacks = place_of({"epoch": known.get("epochs", 1), **known}, settings)
    if end is None:
        raise data_error(folder, lacks)
    path = folder / RESULTS
    reader = _Reader(known, end.run)
    measurements = list(reader.measured(path, log)) if path.is_file() else []
    measurements, problems = once(measurements)
    problems += reader.problems
    if not problems and not measurements and not log.losses:
        problems = [f"there is no measurement in {RESULTS}, and no training loss in {LOG}"]
    if problems:
        raise data_error(path, problems)
    return Imported(
        path=folder,
        measurements_file=path,
        study=folder.resolve().name,
        measurements=measurements,
        compute=COMPUTE,
        notes=tuple(reader.notes()),
        curves=(Curve(run=end.run, points=log.losses),) if log.losses else (),
    )


@dataclass
class _Reader:
    """Turns lines of results into measurements and collects what is wrong with them."""

    known: dict[str, Any]
    run: Run
    problems: list[str] = field(default_factory=list)
    undefined: int = 0
    again: int = 0
    untrained: int = 0
    ranks: int = 0

    def measured(self, path: Path, log: Log) -> Iterator[Measured]:
        """The measurements of the last evaluation of each epoch."""
        lines = list(json_lines(path, text_of(path)))
        epochs = log.epochs_of([content for _, content in lines])
        last: dict[int, tuple[str, dict[str, Any]]] = {}
        for (place, content), epoch in zip(lines, epochs, strict=True):
            if epoch is None:
                self.problems.append(
                    f"{place}: does not say its epoch (open_clip leaves it out without "
                    f"--val-data), and {LOG} has no evaluation with these values"
                )
            elif epoch < 1:
                self.untrained += 1
            else:
                self.again += epoch in last
                last[epoch] = (place, content)
        for epoch, (place, content) in sorted(last.items()):
            where, wrong = place_of({**self.known, "epoch": epoch})
            self.problems += [f"{place}: {problem}" for problem in wrong]
            if where is not None:
                for task, metric, value in self._values(place, content):
                    yield Measured(
                        **vars(self.run),
                        place=place,
                        samples_seen=where.samples_seen,
                        in_fits=where.in_fits,
                        task=task,
                        metric=metric,
                        value=value,
                        source=f"open_clip: {RESULTS.as_posix()}, epoch {epoch}",
                    )

    def _values(self, place: str, content: Mapping[str, Any]) -> Iterator[tuple[str, str, float]]:
        for key, written in content.items():
            if key in _NOT_METRICS:
                continue
            if key.endswith("_rank"):
                self.ranks += 1
                continue
            try:
                task, metric = _task_and_metric(key)
                value = number(written)
                if value is None:
                    self.undefined += 1
                else:
                    yield task, name(metric), value_of(metric, repr(value))
            except ValueError as error:
                self.problems.append(f"{place}, {shown(key)}: {str(written)[:60]!r} {error}")

    def notes(self) -> Iterator[str]:
        """What was left out."""
        if self.again:
            yield f"{self.again:,} evaluations left out that a restarted run made again"
        if self.untrained:
            yield f"{self.untrained:,} evaluations before training left out"
        if self.undefined:
            yield f"{self.undefined:,} metrics that are NaN left out"
        if self.ranks:
            yield f"{self.ranks:,} mean and median ranks left out; they are no errors"


def _task_and_metric(key: str) -> tuple[str, str]:
    """What a key of results.jsonl is called here."""
    if match := _ZERO_SHOT.fullmatch(key):
        dataset = "imagenet1k" if match[1] == "imagenet" else match[1]
        return task_name(dataset), f"acc{match[2]}"
    if match := _RECALL.fullmatch(key):
        return VALIDATION, f"{match[1] or match[2]}_retrieval_recall@{match[3]}"
    return VALIDATION, key
