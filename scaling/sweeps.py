"""Sweeps: cells that several recipes serve, of which the best counts."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from scaling.database import Database

if TYPE_CHECKING:
    import pandas as pd

CELL = (
    "study",
    "dataset",
    "schedule",
    "task",
    "metric",
    "family",
    "model",
    "samples_seen",
    "seed",
)
"""What the members of a sweep share: everything but the trial."""


def best_members(points: "pd.DataFrame", studies: Collection[str]) -> "pd.DataFrame":
    """`points` with the member of least error in place of each sweep in one of `studies`.

    The column `members` says how many were measured: 1 where there is no sweep. Studies that were
    imported are no sweeps of ours, and keep all of their points. The least of several noisy errors
    is a little less than the error of the best recipe.
    """
    if points.empty:
        return points.assign(members=1)
    ours = points["study"].isin(studies)
    cells = points[ours].groupby(list(CELL), sort=False, dropna=False)
    members = cells["trial"].transform("size").reindex(points.index, fill_value=1).astype(int)
    best = cells["error"].idxmin()
    kept = ~ours | points.index.isin(best)
    return points.assign(members=members)[kept]


def taken(points: "pd.DataFrame") -> list[dict[str, Any]]:
    """Of each sweep in `points`: its cell, the trial taken, and how many members it had."""
    swept = points[points["members"] > 1]
    names = (*CELL, "trial", "members")
    return [{str(k): v for k, v in cell.items()} for cell in swept[[*names]].to_dict("records")]


def in_words(sweeps: list[dict[str, Any]]) -> str:
    """For people: how many numbers are the best of a sweep; empty without any sweep."""
    if not sweeps:
        return ""
    measured = sum(cell["members"] for cell in sweeps)
    trials = len({cell["trial"] for cell in sweeps})
    return (
        f"Sweeps: {len(sweeps)} numbers are the best of {measured} measured, by {trials} trials; "
        f"{measured - len(sweeps)} are not used. `--json` names the trials."
    )


def diverged(db: Database, study: str | None) -> list[str]:
    """The trials of `study`, or of all, that diverged: their cells have no number of theirs."""
    from scaling.store import Store, TrialState

    with Store.read(db) as store:
        failed = store.overview(study).failed
    return [trial.trial_id for trial in failed if trial.state is TrialState.DIVERGED]


def diverged_in_words(trial_ids: list[str]) -> str:
    """For people: how many trials gave no number because they diverged; empty without any."""
    if not trial_ids:
        return ""
    shown = ", ".join(trial_ids[:3]) + (", ..." if len(trial_ids) > 3 else "")
    return (
        f"Diverged: {len(trial_ids)} of the trials, which gave no number, so no fit knows of "
        f"them ({shown}); `scaling status --failed` says where."
    )
