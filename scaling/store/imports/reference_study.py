"""The table of Nezhurina et al. 2025, arXiv:2506.04598: a checkpoint and a task in each row.

The columns are those of the files in its repository (LAION-AI/scaling-laws-for-comparison). Only
those of `_REQUIRED` must be there. A checkpoint has seen total_samples_seen x epoch / total_epochs
samples; gflops_total is what the whole run computes, forward.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scaling.errors import DataError, unknown
from scaling.evals import is_loss
from scaling.store.imports.checkpoints import CONSTANT, simple_model
from scaling.store.imports.column_map import ColumnMap
from scaling.store.imports.csv_files import data_error, name, positive, shown
from scaling.store.imports.fields import count
from scaling.store.imports.files import RawTable, read_texts
from scaling.store.imports.percent import Scales
from scaling.store.imports.records import Imported, Measured, Setting, once
from scaling.store.imports.task_names import task_name

_REQUIRED = {
    "model": name,
    "namespace": name,
    "pretrain_dataset": name,
    "downstream_dataset": name,
    "epoch": count,
    "total_epochs": count,
    "total_samples_seen": count,
    "lr_scheduler": name,
}
_OPTIONAL = {
    "model_simple": name,
    "gflops_total": positive,
    "task": name,
    "name": name,
    "lr": positive,
    "warmup": count,
    "global_batch_size": count,
}
_SETTINGS = ("lr", "warmup", "global_batch_size", "total_samples_seen")
_METRIC = re.compile(
    r"acc[0-9]*|(?:image|text|group)_acc|mean_per_class_recall|mean_average_precision|"
    r"(?:image|text)_retrieval_recall@[0-9]+|m_?iou|mean_iou|F1-macro_all|acc_[a-z0-9_]+|"
    r"jaccard_score[0-9_-]*|mean_recall@[0-9]+|(?:contrastive|caption)_loss"
)
_NOTHING = ("", "nan", "NaN", "None", "<NA>")


def recognises_header(header: Sequence[str]) -> bool:
    """Whether these are the columns of such a table."""
    return {"model", "pretrain_dataset", "downstream_dataset", "epoch"} <= set(header)


def read_reference_study(path: Path, column_map: ColumnMap) -> Imported:
    """The measurements of the CSV or Parquet file at `path`.

    Raises `DataError` with everything that is wrong with it.
    """
    raw = read_texts(path)
    reader, problems = _reader(raw, column_map)
    if reader is None:
        raise data_error(path, problems)
    measurements, contradictions = once(
        one for place, cells in raw.rows for one in reader.measured(place, cells)
    )
    problems = [*raw.problems, *reader.problems, *contradictions]
    if not problems and not measurements:
        problems = ["there is no measurement in it"]
    if problems:
        raise data_error(path, problems)
    return Imported(
        path=path,
        measurements_file=path,
        study=path.name.partition(".")[0],
        measurements=measurements,
        compute="gflops_total / total_samples_seen, forward GFLOPs per sample",
        notes=tuple(reader.notes()),
    )


def _reader(raw: RawTable, column_map: ColumnMap) -> "tuple[_Reader | None, list[str]]":
    """What reads the rows, or what is wrong with the columns."""
    known = {**_REQUIRED, **_OPTIONAL}
    constants = column_map.constants
    if column_map.columns or column_map.metric_columns or column_map.patterns:
        raise DataError("a reference-study table has its own columns; --map is for tables")
    header = list(raw.header)
    problems = [unknown("field", key, known) for key in constants if key not in known]
    problems += [
        f"the column {column!r} is missing; --set {column}=VALUE if it is the same in every row"
        for column in _REQUIRED
        if column not in header and column not in constants
    ]
    problems += [
        f"the column {column!r} is there twice"
        for column in sorted({c for c in header if header.count(c) > 1})
    ]
    metrics = [column for column in header if _METRIC.fullmatch(column)]
    if not metrics:
        problems.append("there is no column of a metric, such as acc1")
    problems += [
        f"--percent: {unknown('column', column, metrics)}"
        for column in column_map.percent
        if column not in metrics
    ]
    if problems:
        return None, problems
    places = {column: header.index(column) for column in known if column in header}
    scales, problems = Scales.of(
        {m: [cells[header.index(m)] for _, cells in raw.rows] for m in metrics if not is_loss(m)},
        column_map.percent,
    )
    if problems:
        return None, problems
    used = {*places, *metrics}
    return _Reader(
        places=places,
        metrics={metric: header.index(metric) for metric in metrics},
        constants=constants,
        scales=scales,
        unused=[column for column in header if column not in used],
    ), []


@dataclass
class _Reader:
    """Turns rows into measurements and collects what is wrong with them."""

    places: Mapping[str, int]
    metrics: Mapping[str, int]
    constants: Mapping[str, str]
    scales: Scales
    unused: Sequence[str]
    problems: list[str] = field(default_factory=list)
    without: int = 0
    """Rows without any metric."""
    on_the_way: int = 0

    def measured(self, place: str, cells: list[str]) -> Iterator[Measured]:
        """The measurements of one row; none if anything is wrong with it."""
        wrong: list[str] = []
        fields = self._fields(cells, wrong)
        values = []
        for metric, position in self.metrics.items():
            text = cells[position]
            if text in _NOTHING or (is_loss(metric) and not _may_be_measured(fields)):
                continue
            try:
                values.append((metric, self.scales.value(metric, text)))
            except ValueError as error:
                wrong.append(f"{metric}: {shown(text)} {error}")
        if not wrong and not fields["epoch"] <= fields["total_epochs"]:
            wrong.append(
                f"epoch: {fields['epoch']} is after total_epochs {fields['total_epochs']}"
            )
        self.problems += [f"{place}, {problem}" for problem in wrong]
        if wrong:
            return
        self.without += not values
        shared = _run(fields)
        self.on_the_way += not shared["in_fits"]
        for metric, value in values:
            yield Measured(place=place, metric=metric, value=value, source="", **shared)

    def _fields(self, cells: list[str], wrong: list[str]) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        for column, parse in {**_REQUIRED, **_OPTIONAL}.items():
            at = self.places.get(column)
            text = self.constants.get(column, "") if at is None else cells[at]
            if text in _NOTHING and column in _OPTIONAL:
                continue
            try:
                fields[column] = parse(text)
            except ValueError as error:
                wrong.append(f"{column}: {shown(text)} {error}")
        return fields

    def notes(self) -> Iterator[str]:
        """What people should know."""
        if percent := self.scales.percent:
            yield f"in percent, divided by 100: {', '.join(sorted(percent))}"
        if self.on_the_way:
            yield (
                f"{self.on_the_way:,} rows of checkpoints before the end of their schedule, or in "
                "the warm-up of a constant one, are kept and stay out of fits"
            )
        if self.without:
            yield f"{self.without:,} rows without any metric left out"
        if self.unused:
            yield f"columns not used: {', '.join(self.unused)}"


def _may_be_measured(fields: Mapping[str, Any]) -> bool:
    """Whether a loss in this row was evaluated; elsewhere the study's columns hold training's."""
    return "loss" in str(fields.get("task", ""))


def _run(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What a row says of its checkpoint, as `Measured` has it."""
    total, epoch, epochs = (fields[key] for key in ("total_samples_seen", "epoch", "total_epochs"))
    gflops = fields.get("gflops_total")
    settings: tuple[tuple[str, Setting], ...] = tuple(
        (key, fields[key]) for key in _SETTINGS if key in fields
    )
    return {
        "family": fields["namespace"],
        "model": fields.get("model_simple") or simple_model(fields["model"]),
        "dataset": fields["pretrain_dataset"],
        "schedule": fields["lr_scheduler"],
        "task": task_name(fields["downstream_dataset"], fields.get("task", "")),
        "samples_seen": max(1, round(total * epoch / epochs)),
        "in_fits": _is_an_end(fields),
        "params": None,
        "gflops_per_sample": gflops / total if gflops else None,
        "trial": fields.get("name") or "run",
        "settings": settings,
        "batch_size": fields.get("global_batch_size"),
        "learning_rate": fields.get("lr"),
    }


def _is_an_end(fields: Mapping[str, Any]) -> bool:
    """As the study filters: the last epoch, or any after the warm-up of a constant schedule."""
    epoch, epochs = fields["epoch"], fields["total_epochs"]
    if fields["lr_scheduler"] != CONSTANT or not {"warmup", "global_batch_size"} <= fields.keys():
        return bool(fields["lr_scheduler"] == CONSTANT or epoch == epochs)
    steps = fields["total_samples_seen"] / fields["global_batch_size"]
    return bool(fields["warmup"] / steps <= epoch / epochs)
