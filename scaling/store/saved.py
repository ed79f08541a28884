"""What the store is asked by those who take checkpoints out: whose there are, and of what."""

import difflib
from dataclasses import dataclass

from sqlalchemy import Connection, select

from scaling.errors import StoreError
from scaling.store.queries import checkpoints
from scaling.store.states import TrialState
from scaling.store.tables import TrialRow
from scaling.trial import Checkpoint, Trial, trial_from_identity


@dataclass(frozen=True, kw_only=True)
class SavedTrial:
    """A trial and its checkpoints, ascending; paths relative to the folder of all checkpoints."""

    trial: Trial
    checkpoints: tuple[Checkpoint, ...]


def saved_trials(connection: Connection, prefix: str) -> list[SavedTrial]:
    """The trials with checkpoints whose id begins with `prefix`, by id.

    Raises `StoreError` with the nearest id if there is none such.
    """
    rows = connection.execute(
        select(TrialRow.id, TrialRow.identity, TrialRow.state).order_by(TrialRow.id)
    ).all()
    found = checkpoints(connection, [row.id for row in rows])
    trials = [
        SavedTrial(trial=trial_from_identity(row.identity), checkpoints=tuple(found[row.id]))
        for row in rows
        if row.id.startswith(prefix) and found.get(row.id)
    ]
    if not trials and prefix:
        _explain_none(prefix, {row.id: row.state for row in rows}, sorted(found))
    return trials


def saved_trial(connection: Connection, prefix: str) -> SavedTrial:
    """The one trial with checkpoints whose id is `prefix`, or the only one that begins so.

    Raises `StoreError` if there is none, with the nearest id, or if there are several.
    """
    trials = saved_trials(connection, prefix)
    exact = [saved for saved in trials if saved.trial.id == prefix]
    if len(exact or trials) == 1:
        return (exact or trials)[0]
    if not trials:
        raise StoreError("the store has no checkpoints; `scaling run GRID` makes some")
    ids = [saved.trial.id for saved in trials]
    shown = ", ".join(ids[:5]) + (", ..." if len(ids) > 5 else "")
    raise StoreError(f"{len(ids)} trials begin with {prefix!r}; write more of one: {shown}")


def _explain_none(prefix: str, states: dict[str, TrialState], saved: list[str]) -> None:
    without = [trial_id for trial_id in states if trial_id.startswith(prefix)]
    if len(without) == 1:
        raise StoreError(f"trial {without[0]} ({states[without[0]]}) has no checkpoints")
    if without:
        raise StoreError(
            f"none of {len(without)} trials that begin with {prefix!r} has checkpoints"
        )
    beginnings = {trial_id[: len(prefix)]: trial_id for trial_id in reversed(saved)}
    nearest = difflib.get_close_matches(prefix, beginnings, n=3)
    hint = ", ".join(beginnings[beginning] for beginning in nearest)
    raise StoreError(
        f"no trial's id begins with {prefix!r}; "
        + (f"nearest: {hint}" if hint else "`scaling checkpoints ls` lists those with checkpoints")
    )
