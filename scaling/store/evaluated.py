"""What can be measured later: the checkpoints of a study, and those of others beside them."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, or_, select

from scaling.errors import StoreError, unknown
from scaling.foreign import Foreign
from scaling.plan import Plan, PlannedTrial
from scaling.store.planning import CHECKPOINTS, GRID, add_cells, open_study
from scaling.store.queries import checkpoints
from scaling.store.statements import chunks
from scaling.store.states import TrialState
from scaling.store.tables import CellRow, StudyRow, TrialRow
from scaling.trial import Checkpoint, Trial, trial_from_identity


@dataclass(frozen=True, kw_only=True)
class StudyTrial:
    """A trial of a study: one that serves its cells, or the trunk of one."""

    trial: Trial
    read_at: frozenset[int]
    """Samples seen at which cells of the study read it."""
    checkpoints: tuple[Checkpoint, ...]
    """As recorded; whether their files are there is for others to see."""


def grid_of(connection: Connection, study: str | None) -> tuple[str, str]:
    """The name of a study and the grid that it was last read from; None is the only one there is.

    Raises `StoreError` if it has no grid, or if there are several and none is named.
    """
    studies = {row.name: row for row in connection.execute(select(*StudyRow.__table__.columns))}
    grids = [name for name, row in studies.items() if row.source == GRID]
    if study is None:
        if len(grids) != 1:
            raise StoreError(
                f"which study? say --study: there are {', '.join(sorted(grids))}"
                if grids
                else "the store has no study of a grid yet; `scaling run GRID` makes one"
            )
        study = grids[0]
    if study not in grids:
        if study in studies:
            raise StoreError(
                f"{study!r} has no trials of ours: its measurements were imported; those of a "
                "grid have checkpoints"
            )
        raise StoreError(unknown("study", study, grids))
    return study, studies[study].grid or ""


def study_trials(connection: Connection, study: str) -> list[StudyTrial]:
    """Our trials that serve wanted cells of `study`, and their trunks, by id."""
    wanted = (
        select(CellRow.trial_id, CellRow.samples_seen)
        .join(StudyRow, StudyRow.id == CellRow.study_id)
        .where(StudyRow.name == study, CellRow.wanted)
    )
    read_at: dict[str, set[int]] = {}
    for trial_id, samples_seen in connection.execute(wanted):
        read_at.setdefault(trial_id, set()).add(samples_seen)
    serving = wanted.with_only_columns(CellRow.trial_id)
    trunks = select(TrialRow.trunk_id).where(TrialRow.id.in_(serving))
    rows = connection.execute(
        select(TrialRow.id, TrialRow.identity)
        .where(or_(TrialRow.id.in_(serving), TrialRow.id.in_(trunks)), TrialRow.source == "own")
        .order_by(TrialRow.id)
    ).all()
    saved = checkpoints(connection, [row.id for row in rows])
    return [
        StudyTrial(
            trial=trial_from_identity(row.identity),
            read_at=frozenset(read_at.get(row.id, ())),
            checkpoints=tuple(saved[row.id]),
        )
        for row in rows
    ]


def record_foreign(connection: Connection, plan: Plan) -> None:
    """Add the `Foreign` trials of `plan` that are not there, and a cell of its study for each.

    Raises `StoreError`, and writes nothing, if the study has a file as something else already.
    """
    study_id = open_study(connection, plan.study, CHECKPOINTS)
    rows = {planned.trial.id: _trial(planned) for planned in plan.trials}
    _check_described_once(connection, study_id, plan)
    known: set[str] = set()
    for chunk in chunks(list(rows)):
        known.update(connection.scalars(select(TrialRow.id).where(TrialRow.id.in_(chunk))))
    if new := [row for trial_id, row in rows.items() if trial_id not in known]:
        connection.execute(insert(TrialRow), new)
    add_cells(connection, study_id, [_cell(study_id, planned) for planned in plan.trials])


def _foreign(planned: PlannedTrial) -> Foreign:
    assert isinstance(planned.trial, Foreign)
    return planned.trial


def _check_described_once(connection: Connection, study_id: int, plan: Plan) -> None:
    """One file is one checkpoint: said to be two, it would be two points of one network."""
    there = connection.execute(
        select(TrialRow.id, TrialRow.identity)
        .join(CellRow, CellRow.trial_id == TrialRow.id)
        .where(CellRow.study_id == study_id, TrialRow.kind == Foreign.kind)
    )
    described = {row.identity["sha256"]: row for row in there if "sha256" in row.identity}
    for planned in plan.trials:
        trial = _foreign(planned)
        before = described.get(trial.sha256)
        if before is not None and before.id != trial.id:
            raise StoreError(
                f"{trial.file}: study {plan.study!r} has this file (SHA-256 "
                f"{trial.sha256[:12]}...) already, described otherwise: "
                f"{_differences(before.identity, trial.identity())}; describe it as before, or "
                "record it in another study"
            )


def _differences(before: dict[str, Any], now: dict[str, Any]) -> str:
    # By way of JSON, which has no tuples.
    return "; ".join(
        f"{name} was {before.get(name)}, and is {its} now"
        for name, its in now.items()
        if str(before.get(name)) != str(_plain(its))
    )


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(its) for name, its in value.items()}
    return [_plain(its) for its in value] if isinstance(value, list | tuple) else value


def _trial(planned: PlannedTrial) -> dict[str, Any]:
    trial, profile = _foreign(planned), planned.profile
    return {
        "id": trial.id,
        "family": trial.family,
        "model": trial.model,
        "kind": trial.kind,
        "identity": trial.identity(),
        "seed": trial.seed,
        "params": profile.params,
        "gflops_per_sample_published": profile.published_gflops,
        "gflops_per_sample_lean": profile.lean_gflops,
        "gflops_per_sample_full": profile.full_gflops,
        "source": str(trial.file),
        "state": TrialState.IMPORTED,
    }


def _cell(study_id: int, planned: PlannedTrial) -> dict[str, Any]:
    its = _foreign(planned).described
    return {
        "study_id": study_id,
        "family": its.family,
        "model": its.model,
        "dataset": its.dataset,
        "schedule": its.schedule,
        "samples_seen": its.samples_seen,
        "seed": its.seed,
        "trial_id": planned.trial.id,
        "wanted": True,
    }
