"""Published measurements: two CSV files, checked as a whole before anything is written.

`measurements.csv` has one number a row; `model_profile.csv` says what a model costs. A family
without a profile (a loss tried on another family's network) is imported without GFLOPs, and so
stays out of fits over compute.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert, select

from scaling.errors import DataError, StoreError
from scaling.store.csv_files import (
    CsvRow,
    fraction,
    name,
    positive,
    positive_count,
    read_csv,
    words,
)
from scaling.store.planning import IMPORT, add_cells, open_study
from scaling.store.statements import chunks
from scaling.store.states import TrialState
from scaling.store.store import Store
from scaling.store.tables import MeasurementRow, TrialRow
from scaling.trial import digest
from scaling.units import format_count

MEASUREMENTS = {
    "family": name,
    "model": name,
    "dataset": name,
    "schedule": name,
    "samples_seen": positive_count,
    "task": name,
    "metric": name,
    "value": fraction,
    "source": words,
}
PROFILE = {
    "family": name,
    "model": name,
    "image_size": positive_count,
    "params_million": positive,
    "image_params_million": positive,
    "text_params_million": positive,
    "forward_gflops_per_sample": positive,
}
_TRIAL = ("family", "model", "dataset", "schedule", "samples_seen")

Profiles = Mapping[tuple[str, str], Mapping[str, Any]]
"""Rows of model_profile.csv by family and model."""


@dataclass(frozen=True, kw_only=True)
class ImportSummary:
    """What an import found; it prints as a sentence."""

    study: str
    imported: int
    already_there: int
    trials: int
    without_gflops: int
    """Measurements of models that have no profile; they stay out of fits over compute."""
    families_without_gflops: tuple[str, ...]

    def __str__(self) -> str:
        """For people."""
        sentence = (
            f"study {self.study}: {self.imported:,} measurements imported, {self.already_there:,} "
            f"were there already ({self.trials:,} trials)"
        )
        if self.without_gflops:
            families = ", ".join(self.families_without_gflops)
            sentence += (
                f"; {self.without_gflops:,} have no GFLOPs in model_profile.csv ({families}) and "
                "stay out of fits over compute"
            )
        return sentence


@dataclass(frozen=True)
class Published:
    """A folder of published measurements, read and found valid."""

    folder: Path
    rows: list[CsvRow]
    profiles: Mapping[tuple[str, str], Mapping[str, Any]]
    """By family and model."""


def read_published(folder: Path) -> Published:
    """What is in `folder`; raises `DataError` with everything that is wrong with a file."""
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder with measurements.csv and model_profile.csv")
    profiles = {
        (row.values["family"], row.values["model"]): row.values
        for row in read_csv(folder / "model_profile.csv", PROFILE, unique=("family", "model"))
    }
    rows = read_csv(folder / "measurements.csv", MEASUREMENTS, unique=(*_TRIAL, "task", "metric"))
    return Published(folder, rows, profiles)


def import_published(
    store: Store, published: Published, study: str | None = None
) -> ImportSummary:
    """Import `published` into `study` (the folder's name unless given).

    Importing again changes nothing. Raises `StoreError` where it contradicts the store; nothing
    is written then.
    """
    folder, rows, profiles = published.folder, published.rows, published.profiles
    path = folder / "measurements.csv"
    study = study or folder.resolve().name
    ids = [_trial_id(study, row) for row in rows]
    trials = {
        trial_id: _trial(trial_id, study, folder, row, profiles)
        for trial_id, row in zip(ids, rows, strict=True)
    }
    with store.writing() as connection:
        study_id = open_study(connection, study, IMPORT)
        _add_trials(connection, trials)
        add_cells(connection, study_id, [_cell(study_id, trial) for trial in trials.values()])
        imported = _add_measurements(connection, path, list(zip(ids, rows, strict=True)))
    unpriced = [row.values["family"] for row in rows if _model(row) not in profiles]
    return ImportSummary(
        study=study,
        imported=imported,
        already_there=len(rows) - imported,
        trials=len(trials),
        without_gflops=len(unpriced),
        families_without_gflops=tuple(sorted(set(unpriced))),
    )


def _model(row: CsvRow) -> tuple[str, str]:
    return row.values["family"], row.values["model"]


def _identity(study: str, row: CsvRow) -> dict[str, Any]:
    return {"kind": "imported", "study": study, **{key: row.values[key] for key in _TRIAL}}


def _trial_id(study: str, row: CsvRow) -> str:
    family, model, dataset, schedule, samples_seen = (row.values[key] for key in _TRIAL)
    label = f"{family}-{model}-{dataset}-{schedule}-{format_count(samples_seen)}"
    return f"{label}-{digest(_identity(study, row))}"


def _trial(
    trial_id: str, study: str, folder: Path, row: CsvRow, profiles: Profiles
) -> dict[str, Any]:
    profile = profiles.get(_model(row))
    return {
        "id": trial_id,
        "family": row.values["family"],
        "model": row.values["model"],
        "kind": "imported",
        "identity": _identity(study, row),
        "seed": 0,
        "params": round(profile["params_million"] * 1e6) if profile else None,
        "gflops_per_sample_published": profile["forward_gflops_per_sample"] if profile else None,
        "source": str(folder),
        "state": TrialState.IMPORTED,
    }


def _cell(study_id: int, trial: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "study_id": study_id,
        **{key: trial["identity"][key] for key in _TRIAL},
        "seed": trial["seed"],
        "trial_id": trial["id"],
        "wanted": True,
    }


def _add_trials(connection: Connection, trials: Mapping[str, Mapping[str, Any]]) -> None:
    """Insert the trials that are not there; raises `StoreError` if one's cost would change."""
    known: dict[str, float | None] = {}
    for chunk in chunks(list(trials)):
        gflops = TrialRow.gflops_per_sample_published
        found = connection.execute(select(TrialRow.id, gflops).where(TrialRow.id.in_(chunk)))
        known |= {trial_id: there for trial_id, there in found}
    for trial_id, there in known.items():
        stated = trials[trial_id]["gflops_per_sample_published"]
        if stated != there:
            trial = trials[trial_id]
            raise StoreError(
                f"model_profile.csv: {trial['family']} {trial['model']}: "
                f"forward_gflops_per_sample is {stated}, an earlier import said {there}"
            )
    if new := [trial for trial_id, trial in trials.items() if trial_id not in known]:
        connection.execute(insert(TrialRow), new)


def _add_measurements(
    connection: Connection, path: Path, rows: Sequence[tuple[str, CsvRow]]
) -> int:
    """Insert the measurements that are not there, and say how many."""
    known = {}
    columns = [getattr(MeasurementRow, name) for name in MeasurementRow.natural_key]
    for chunk in chunks(sorted({trial_id for trial_id, _ in rows})):
        found = connection.execute(
            select(*columns, MeasurementRow.value).where(MeasurementRow.trial_id.in_(chunk))
        )
        known.update({tuple(row[:-1]): row.value for row in found})
    new = []
    for trial_id, row in rows:
        fields = {key: row.values[key] for key in ("samples_seen", "task", "metric", "value")}
        there = known.get((trial_id, *list(fields.values())[:-1]))
        if there is None:
            new.append({"trial_id": trial_id, **fields, "source": row.values["source"]})
        elif there != fields["value"]:
            raise StoreError(
                f"{path}: line {row.line}, value: {fields['value']}, an earlier import "
                f"said {there}"
            )
    if new:
        connection.execute(insert(MeasurementRow), new)
    return len(new)
