"""What attempts that exceeded the memory of a device teach all later ones of the same model."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, bindparam, select

from scaling.store.tables import AttemptRow, TrialRow
from scaling.trial import Execution, Trial

OUTCOME = "oom"
"""Of an attempt that exceeded the memory; with another outcome it teaches nothing any more."""


_EXCEEDED = (
    select(TrialRow.identity, AttemptRow.versions)
    .join(TrialRow, TrialRow.id == AttemptRow.trial_id)
    .where(
        AttemptRow.outcome == OUTCOME,
        TrialRow.family == bindparam("its_family"),
        TrialRow.model == bindparam("its_model"),
    )
)


def rows_that_fit(connection: Connection, trial: Trial, execution: Execution) -> dict[str, int]:
    """Most rows to compute at once, by device: half of the fewest that did not fit.

    From attempts of any trial of the same model that is computed in the same way. Empty where
    memory was never exceeded.
    """
    of_model = {"its_family": trial.family, "its_model": trial.model}
    found = connection.execute(_EXCEEDED, of_model)
    alike = _bears_on_memory(trial.identity(), asdict(execution))
    fit: dict[str, int] = {}
    for identity, versions in found:
        rows = (versions or {}).get("rows")
        if rows and _bears_on_memory(identity, versions.get("execution", {})) == alike:
            device = str(versions.get("device"))
            fit[device] = min(fit.get(device, rows), (rows + 1) // 2)
    return fit


def _bears_on_memory(identity: Mapping[str, Any], execution: Mapping[str, Any]) -> object:
    recipe = identity["recipe"]
    how = {name: value for name, value in execution.items() if name != "micro_batch_size"}
    return recipe.get("precision"), recipe.get("patch_dropout"), how
