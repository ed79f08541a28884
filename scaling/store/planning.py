"""What a plan adds to the store: its study, its trials, its cells."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from scaling.errors import StoreError
from scaling.plan import Cell, Plan, PlannedTrial
from scaling.store.statements import chunks
from scaling.store.states import TrialState
from scaling.store.tables import CellRow, StudyRow, TrialRow
from scaling.store.times import now

Key = tuple[Any, ...]
"""A cell's natural key."""

GRID, IMPORT, IMPORTED_GRID, CHECKPOINTS = "grid", "import", "imported grid", "checkpoints"
"""The sources of studies: a grid of our own; other people's measurements; a grid from an export;
or so far only other people's checkpoints, measured here, which go beside any of them."""

_HOLDS = {GRID: "the results of a grid", IMPORTED_GRID: "the exported results of a grid"}


def record_plan(connection: Connection, plan: Plan) -> None:
    """Add what is new, mark the cells that the grid no longer asks for, delete nothing."""
    study_id = open_study(connection, plan.study, GRID)
    connection.execute(
        update(StudyRow)
        .where(StudyRow.id == study_id)
        .values(grid=plan.grid_text, held_out_above_gflops=plan.held_out_above_gflops)
    )
    _record_trials(connection, plan.trials)
    ids = {id(planned.trial): planned.trial.id for planned in plan.trials}
    # Cells share their trials' objects, whose ids are digests that take a while.
    rows = [_cell(cell, study_id, ids.get(id(cell.trial)) or cell.trial.id) for cell in plan.cells]
    before = add_cells(connection, study_id, rows)
    asked = {_key(row) for row in rows}
    ours = _without_imported(connection, study_id)
    gone = [
        cell.id
        for key, cell in before.items()
        if cell.wanted and key not in asked and cell.id in ours
    ]
    _set_wanted(connection, gone, wanted=False)


def open_study(connection: Connection, name: str, source: str) -> int:
    """The id of the study called `name`, made if missing.

    Raises `StoreError` if it has the other source: own and imported measurements do not mix. What
    was measured here goes with both.
    """
    found = connection.execute(
        select(StudyRow.id, StudyRow.source).where(StudyRow.name == name)
    ).one_or_none()
    if found is None:
        row = {"name": name, "source": source, "created": now()}
        return int(connection.execute(insert(StudyRow).returning(StudyRow.id), row).scalar_one())
    if found.source == CHECKPOINTS != source:
        connection.execute(update(StudyRow).where(StudyRow.id == found.id).values(source=source))
    elif source not in (found.source, CHECKPOINTS):
        raise StoreError(
            f"the study {name!r} is there already and holds "
            f"{_HOLDS.get(found.source, 'imported measurements')}; "
            f"{'this grid' if source == GRID else 'this import'} needs a study of another name"
        )
    return int(found.id)


def add_cells(
    connection: Connection, study_id: int, rows: Sequence[Mapping[str, Any]]
) -> dict[Key, Row[Any]]:
    """Add cells that are not there, want again those that are; all that were there, by key."""
    columns = [getattr(CellRow, name) for name in CellRow.natural_key]
    known = {
        tuple(row[2:]): row
        for row in connection.execute(
            select(CellRow.id, CellRow.wanted, *columns).where(CellRow.study_id == study_id)
        )
    }
    asked = {_key(row): row for row in rows}
    if new := [row for key, row in asked.items() if key not in known]:
        connection.execute(insert(CellRow), new)
    back = [known[key].id for key in asked if key in known and not known[key].wanted]
    _set_wanted(connection, back, wanted=True)
    return known


def _without_imported(connection: Connection, study_id: int) -> set[int]:
    """The cells of a study that its grid has asked for, and not those of other checkpoints."""
    found = connection.scalars(
        select(CellRow.id)
        .join(TrialRow, TrialRow.id == CellRow.trial_id)
        .where(CellRow.study_id == study_id, TrialRow.kind != "imported")
    )
    return set(found)


def _set_wanted(connection: Connection, cell_ids: Sequence[int], *, wanted: bool) -> None:
    for chunk in chunks(cell_ids):
        connection.execute(update(CellRow).where(CellRow.id.in_(chunk)).values(wanted=wanted))


def _key(row: Mapping[str, Any]) -> Key:
    return tuple(row[name] for name in CellRow.natural_key)


def _record_trials(connection: Connection, trials: tuple[PlannedTrial, ...]) -> None:
    """Add trials that are new; their profiles are derived, so a corrected one replaces the old."""
    profile = (
        TrialRow.params,
        TrialRow.gflops_per_sample_published,
        TrialRow.gflops_per_sample_lean,
        TrialRow.gflops_per_sample_full,
    )
    known = {row.id: tuple(row[1:]) for row in connection.execute(select(TrialRow.id, *profile))}
    rows = [_trial(planned) for planned in trials]
    if new := [row for row in rows if row["id"] not in known]:
        connection.execute(insert(TrialRow), new)
    names = [column.key for column in profile]
    changed = [
        {"trial_id": row["id"], **{f"new_{name}": row[name] for name in names}}
        for row in rows
        if row["id"] in known and known[row["id"]] != tuple(row[name] for name in names)
    ]
    if changed:
        connection.execute(
            update(TrialRow)
            .where(TrialRow.id == bindparam("trial_id"))
            .values({name: bindparam(f"new_{name}") for name in names}),
            changed,
        )


def _trial(planned: PlannedTrial) -> dict[str, Any]:
    trial, profile = planned.trial, planned.profile
    return {
        "id": trial.id,
        "family": trial.family,
        "model": trial.model,
        "kind": trial.kind,
        "identity": trial.identity(),
        "seed": trial.seed,
        "batch_size": trial.recipe.batch_size,
        "learning_rate": trial.recipe.learning_rate,
        "params": profile.params,
        "gflops_per_sample_published": profile.published_gflops,
        "gflops_per_sample_lean": profile.lean_gflops,
        "gflops_per_sample_full": profile.full_gflops,
        "trunk_id": planned.branch[0] if planned.branch else None,
        "source": "own",
        "state": TrialState.PENDING,
    }


def _cell(cell: Cell, study_id: int, trial_id: str) -> dict[str, Any]:
    return {
        "study_id": study_id,
        "family": cell.family,
        "model": cell.model,
        "dataset": cell.dataset,
        "schedule": cell.schedule,
        "samples_seen": cell.samples_seen,
        "seed": cell.seed,
        "trial_id": trial_id,
        "wanted": True,
    }
