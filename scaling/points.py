"""Measurements as points of error against compute: the table that `fitting` takes."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scaling.errors import ScalingError, StoreError, unknown
from scaling.evals import MAIN_METRICS, lower_is_better
from scaling.store import Store

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which measurements; None means all of them."""

    study: str | None = None
    dataset: str | None = None
    schedule: str | None = None
    task: str | None = None
    metric: str | None = None
    """None means the main metrics, 'all' every one."""
    families: tuple[str, ...] | None = None


def load_points(db: Path, selection: Selection) -> "tuple[pd.DataFrame, dict[str, float]]":
    """Points of `selection`, and the held-out threshold in GFLOPs of each study that has one.

    Columns: study, dataset, schedule, task, metric, family, model, samples_seen, seed, trial,
    compute_gflops (forward GFLOPs per sample x samples seen) and error (1 - value for accuracies,
    the value itself for losses). Raises `ScalingError` naming what there is when nothing matches.
    """
    import pandas as pd

    with Store.read(db) as store:
        table = pd.DataFrame(store.points(study=selection.study))
        thresholds = {
            study.name: study.held_out_above_gflops
            for study in store.studies()
            if study.held_out_above_gflops is not None
        }
        studies = [study.name for study in store.studies()]
    if selection.study is not None and selection.study not in studies:
        raise ScalingError(f"{db}: {unknown('study', selection.study, studies)}")
    if table.empty:
        raise StoreError(f"{db} has no measurement yet; `scaling run GRID` makes some")
    for column in ("dataset", "schedule", "task"):
        wanted = getattr(selection, column)
        if wanted is not None:
            _require(db, column, [wanted], table[column])
            table = table[table[column] == wanted]
    if selection.families is not None:
        _require(db, "family", selection.families, table["family"])
        table = table[table["family"].isin(selection.families)]
    table = _only_metric(db, table, selection.metric)
    table = table[table["gflops_per_sample"].notna()]
    losses = table["metric"].map(lower_is_better).astype(bool)
    points = table.assign(
        compute_gflops=table["gflops_per_sample"].astype(float) * table["samples_seen"],
        error=table["value"].where(losses, 1 - table["value"]),
    )
    return points.drop(columns=["gflops_per_sample", "value"]).reset_index(drop=True), thresholds


def _only_metric(db: Path, table: "pd.DataFrame", metric: str | None) -> "pd.DataFrame":
    if metric == "all":
        return table
    if metric is not None:
        _require(db, "metric", [metric], table["metric"])
        return table[table["metric"] == metric]
    main = table["metric"].isin(MAIN_METRICS)
    return table[main] if main.any() else table


def _require(
    db: Path, column: str, wanted: "list[str] | tuple[str, ...]", there: "pd.Series[str]"
) -> None:
    known = sorted(there.unique())
    for name in wanted:
        if name not in known:
            raise ScalingError(f"{db}: {unknown(column, name, known)} among what was selected")
