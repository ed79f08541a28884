"""An import written to the store: all of it in one transaction, and nothing twice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, insert, select, update

from scaling.errors import StoreError
from scaling.store.imports.curves import add_curves
from scaling.store.imports.records import Imported, Measured, Run
from scaling.store.planning import IMPORT, IMPORTED_GRID, add_cells, open_study
from scaling.store.statements import chunks, insert_many
from scaling.store.states import TrialState
from scaling.store.store import Store
from scaling.store.tables import MeasurementRow, StudyRow, TrialRow
from scaling.trial import digest
from scaling.units import format_count

_KEY = MeasurementRow.natural_key
_NOTHING_MORE: Mapping[str, Any] = dict.fromkeys(("epochs", "evaluation_set", "skipped_images"))
"""What only an export knows of a measurement: `Exported.measurement`."""


@dataclass(frozen=True, kw_only=True)
class ImportSummary:
    """What an import found; it prints as a sentence."""

    study: str
    imported: int
    already_there: int
    trials: int
    compute: str
    """Where GFLOPs per sample are from."""
    without_gflops: int
    """Measurements of models whose cost is unknown; they stay out of fits over compute."""
    families_without_gflops: tuple[str, ...]
    notes: tuple[str, ...]

    def __str__(self) -> str:
        """For people."""
        lines = [
            f"study {self.study}: {self.imported:,} measurements imported, {self.already_there:,} "
            f"were there already ({self.trials:,} trials)",
            f"compute: {self.compute}",
        ]
        if self.without_gflops:
            families = ", ".join(self.families_without_gflops)
            lines.append(
                f"{self.without_gflops:,} have no GFLOPs there ({families}) and stay out of fits "
                "over compute"
            )
        return "\n  ".join([*lines, *self.notes])


def record(
    store: Store, imported: Imported, study: str | None = None, *, dry_run: bool = False
) -> ImportSummary:
    """Write `imported` into `study` (its own name unless given), or find out what would be.

    Importing again changes nothing. Raises `StoreError` where it contradicts the store; nothing
    is written then, nor in a `dry_run`.
    """
    by_study = _by_study(imported, study)
    try:
        with store.writing() as connection:
            summaries = [
                _record_study(connection, imported, name, rows) for name, rows in by_study.items()
            ]
            if dry_run:
                raise _NothingIsWrittenError
    except _NothingIsWrittenError:
        pass
    return _together(summaries)


def _record_study(
    connection: Connection, imported: Imported, study: str, rows: Sequence[Measured]
) -> ImportSummary:
    trials: dict[str, dict[str, Any]] = {}
    named = _by_trial(study, imported, rows, trials)
    curves = [(_add_to(trials, _trial(study, imported, c.run)), c) for c in imported.curves]
    study_id = _open(connection, imported, study, rows)
    _add_trials(connection, imported, trials)
    # Most cells have many numbers.
    cells = {
        (trial_id, row.samples_seen, row.dataset, row.schedule): row
        for trial_id, row in named
        if row.in_fits
    }
    add_cells(connection, study_id, [_cell(study_id, key[0], row) for key, row in cells.items()])
    new = _add_measurements(connection, imported, named)
    add_curves(connection, curves)
    unpriced = [row.family for row in rows if row.gflops_per_sample is None]
    return ImportSummary(
        study=study,
        imported=new,
        already_there=len(rows) - new,
        trials=len(trials),
        compute=imported.compute,
        without_gflops=len(unpriced),
        families_without_gflops=tuple(sorted(set(unpriced))),
        notes=imported.notes,
    )


def _by_study(imported: Imported, study: str | None) -> dict[str, list[Measured]]:
    """The measurements of each study: of the one that is asked for, or of the file's own.

    Raises `StoreError` if several studies would become one.
    """
    found: dict[str, list[Measured]] = {imported.study: []} if imported.curves else {}
    for row in imported.measurements:
        found.setdefault(row.exported.study if row.exported else imported.study, []).append(row)
    if study is None:
        return found
    if len(found) > 1:
        raise StoreError(
            f"{imported.path} has {len(found)} studies ({', '.join(found)}), which keep their "
            "names; leave --study out, or export one of them with --study"
        )
    (rows,) = found.values() or ([],)
    return {study: rows}


def _open(connection: Connection, imported: Imported, study: str, rows: Sequence[Measured]) -> int:
    """The id of the study, which an export also tells where its held-out range begins."""
    exported = rows[0].exported if rows else None
    if exported is None:
        return open_study(connection, study, IMPORT)
    before = connection.execute(
        select(StudyRow.held_out_above_gflops).where(StudyRow.name == study)
    ).first()
    study_id = open_study(connection, study, IMPORTED_GRID if exported.is_grid else IMPORT)
    above = exported.held_out_above_gflops
    if before is None:
        its = StudyRow.id == study_id
        connection.execute(update(StudyRow).where(its).values(held_out_above_gflops=above))
    elif before[0] != above:
        raise StoreError(
            f"{imported.path}: held_out_above_gflops is {above}, but {before[0]} of the study "
            f"{study!r}, which is there; import it under a name of its own with --study"
        )
    return study_id


def _together(summaries: Sequence[ImportSummary]) -> ImportSummary:
    """One summary of an import of several studies."""
    families = {name for each in summaries for name in each.families_without_gflops}
    return replace(
        summaries[0],
        study=", ".join(each.study for each in summaries),
        imported=sum(each.imported for each in summaries),
        already_there=sum(each.already_there for each in summaries),
        trials=sum(each.trials for each in summaries),
        without_gflops=sum(each.without_gflops for each in summaries),
        families_without_gflops=tuple(sorted(families)),
    )


class _NothingIsWrittenError(Exception):
    """Ends the transaction of a dry run."""


def _by_trial(
    study: str,
    imported: Imported,
    rows: Sequence[Measured],
    trials: dict[str, dict[str, Any]],
) -> list[tuple[str, Measured]]:
    """Each measurement with the id of its trial, which is added to `trials`."""
    ids: dict[tuple[Any, ...], str] = {}
    named = []
    for row in rows:
        key = (row.key(), row.exported and row.exported.trial_id)
        if key not in ids:
            ids[key] = _add_to(trials, _trial(study, imported, row))
        named.append((ids[key], row))
    return named


def _add_to(trials: dict[str, dict[str, Any]], trial: dict[str, Any]) -> str:
    return str(trials.setdefault(trial["id"], trial)["id"])


def _trial(study: str, imported: Imported, row: Run) -> dict[str, Any]:
    identity = {"kind": "imported", "study": study, **row.identity()}
    name = row.trial or (format_count(row.samples_seen) if isinstance(row, Measured) else "run")
    label = f"{row.family}-{row.model}-{row.dataset}-{row.schedule}-{name}"
    exported = row.exported if isinstance(row, Measured) else None
    return {
        "id": f"{label}-{digest(identity)}",
        "family": row.family,
        "model": row.model,
        "kind": "imported",
        "identity": identity,
        "seed": row.seed,
        "batch_size": row.batch_size,
        "learning_rate": row.learning_rate,
        "params": row.params,
        "gflops_per_sample_published": row.gflops_per_sample,
        "source": str(imported.path),
        "state": TrialState.IMPORTED,
        **(exported.trial() if exported else {}),
    }


def _cell(study_id: int, trial_id: str, row: Measured) -> dict[str, Any]:
    return {
        "study_id": study_id,
        "family": row.family,
        "model": row.model,
        "dataset": row.dataset,
        "schedule": row.schedule,
        "samples_seen": row.samples_seen,
        "seed": row.seed,
        "trial_id": trial_id,
        "wanted": True,
    }


def _add_trials(
    connection: Connection, imported: Imported, trials: Mapping[str, Mapping[str, Any]]
) -> None:
    """Insert the trials that are not there; raises `StoreError` if one's cost would change."""
    costs = {"gflops_per_sample_published": "GFLOPs per sample", "params": "params"}
    known: dict[str, tuple[Any, ...]] = {}
    for chunk in chunks(list(trials)):
        columns = [getattr(TrialRow, name) for name in costs]
        found = connection.execute(
            select(TrialRow.id, TrialRow.kind, *columns).where(TrialRow.id.in_(chunk))
        )
        known |= {row[0]: tuple(row[1:]) for row in found}
    for trial_id, (kind, *there) in known.items():
        trial = trials[trial_id]
        if kind != trial["kind"]:
            raise StoreError(f"{imported.path}: {trial_id} is a trial of this store's own")
        for (column, name), before in zip(costs.items(), there, strict=True):
            if trial[column] != before:
                raise StoreError(
                    f"{imported.path}: {trial['family']} {trial['model']}: {name} is "
                    f"{trial[column]}, an earlier import said {before}"
                )
    if new := [trial for trial_id, trial in trials.items() if trial_id not in known]:
        connection.execute(insert(TrialRow), new)


def _add_measurements(
    connection: Connection, imported: Imported, rows: Sequence[tuple[str, Measured]]
) -> int:
    """Insert the measurements that are not there, and say how many."""
    known = {}
    columns = [getattr(MeasurementRow, name) for name in _KEY]
    for chunk in chunks(sorted({trial_id for trial_id, _ in rows})):
        found = connection.execute(
            select(*columns, MeasurementRow.value).where(MeasurementRow.trial_id.in_(chunk))
        )
        known.update({tuple(row[:-1]): row.value for row in found})
    new = []
    for trial_id, row in rows:
        key = (trial_id, row.samples_seen, row.task, row.metric)
        there = known.get(key)
        if there is None:
            more: Mapping[str, Any] = _NOTHING_MORE
            if row.exported:
                # One trial may serve cells of several schedules; other formats have one row each.
                known[key] = row.value
                more = row.exported.measurement()
            new.append((*key, row.value, row.source, *map(more.get, _NOTHING_MORE)))
        elif there != row.value:
            raise StoreError(
                f"{imported.measurements_file}: {row.place}, value: {row.value}, an earlier "
                f"import said {there}"
            )
    # In the order of the index, which then grows at its end.
    insert_many(
        connection, MeasurementRow, (*_KEY, "value", "source", *_NOTHING_MORE), sorted(new)
    )
    return len(new)
