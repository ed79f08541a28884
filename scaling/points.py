"""Measurements as points of error against compute: the table that `fitting` takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from scaling.database import Database
from scaling.errors import ScalingError, unknown
from scaling.evals import MAIN_METRICS, lower_is_better
from scaling.evals._suites import main_metric_of
from scaling.families import FAMILIES
from scaling.store import GRID, IMPORTED_GRID, Compute, Filters, Store
from scaling.suites import measured, with_suites
from scaling.sweeps import best_members

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 5
"""Problems of a store that one message lists."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which measurements; None means all of them."""

    study: str | None = None
    dataset: str | None = None
    schedule: str | None = None
    task: str | None = None
    metric: str | None = None
    """None means the main metrics of each study that has one, else all; 'all' means every one."""
    families: tuple[str, ...] | None = None
    compute: Compute = "published"
    """Which counting of forward GFLOPs per sample (`scaling.families.Profile`)."""

    @property
    def whole_study(self) -> "Selection":
        """All of the study (or studies) that this selects from: what it can be calibrated on."""
        return replace(self, dataset=None, schedule=None, task=None, families=None)


def load_points(db: Database, selection: Selection) -> "tuple[pd.DataFrame, dict[str, float]]":
    """Points of `selection`, and the held-out threshold in GFLOPs of each study that has one.

    Columns: study, dataset, schedule, task, metric, family, model, samples_seen, seed, trial,
    epochs and params (missing where unknown), compute_gflops (forward GFLOPs per sample x samples
    seen), error (1 - value for accuracies, the value itself for losses) and members: a cell that a
    sweep serves has the number of its best member, `trial`, and says how many were measured.
    Raises `ScalingError` naming what there is when nothing matches.
    """
    import pandas as pd

    metric = None if selection.metric == "all" else selection.metric
    with Store.read(db) as store:
        studies = store.studies()
        thresholds = {
            study.name: study.held_out_above_gflops
            for study in studies
            if study.held_out_above_gflops is not None
        }
        filters: Filters = {
            "study": selection.study,
            "dataset": selection.dataset,
            "schedule": selection.schedule,
            "task": selection.task,
            "metric": metric,
        }
        rows = measured(store, selection.compute, filters)
    _check_numbers(db, rows, thresholds)
    rows = with_suites(rows, filters)
    table = pd.DataFrame(rows)
    if selection.families is not None:
        known = sorted(table["family"].unique()) if rows else []
        for family in selection.families:
            if family not in known:
                raise ScalingError(f"{db}: {unknown('family', family, known)}")
        table = table[table["family"].isin(selection.families)]
    if table.empty:
        raise ScalingError(f"{db}: nothing was measured of what was selected")
    if selection.metric is None:
        main = _is_main(table)
        table = table[main | ~table["study"].isin(table["study"][main])]
    if selection.compute != "published":
        counted = pd.Series(_computed(table, selection.compute), table.index, dtype=float)
        table = table.assign(gflops_per_sample=counted)
    strangers = sorted(set(table["family"]) - set(FAMILIES.names()))
    table = table[table["gflops_per_sample"].notna()]
    if table.empty:
        raise ScalingError(
            f"{db}: of nothing that was selected the {selection.compute} "
            f"GFLOPs per sample are known{_why_unknown(strangers, selection.compute)}"
        )
    for family in selection.families or ():
        if family not in set(table["family"]):
            raise ScalingError(
                f"{db}: the {selection.compute} GFLOPs per sample of {family} are not known"
            )
    losses = table["metric"].map(lower_is_better).astype(bool)
    points = table.assign(
        compute_gflops=table["gflops_per_sample"].astype(float) * table["samples_seen"],
        error=table["value"].where(losses, 1 - table["value"]),
    )
    points = points.drop(columns=["gflops_per_sample", "value"])
    grids = {study.name for study in studies if study.source in (GRID, IMPORTED_GRID)}
    points = best_members(points, grids)
    return points.reset_index(drop=True), thresholds


def _is_main(table: "pd.DataFrame") -> "pd.Series[bool]":
    """Whether each row has a main metric: what its task declares, if the study has that at all."""
    declared = table["task"].map({task: main_metric_of(task) for task in set(table["task"])})
    is_declared = table["metric"] == declared
    has_declared = is_declared.groupby([table["study"], table["task"]]).transform("any")
    return is_declared | (~has_declared & table["metric"].isin(MAIN_METRICS))


def _why_unknown(strangers: list[str], compute: Compute) -> str:
    if compute == "published" or not strangers:
        return ""
    return (
        f": {', '.join(strangers)} are imported families, whose compute is only known as it was "
        "imported (--compute published)"
    )


def _check_numbers(
    db: Database, rows: Sequence[Mapping[str, object]], thresholds: Mapping[str, object]
) -> None:
    """Raise `ScalingError` at text in a number's place, which SQLite would let anyone write."""
    found: list[tuple[str, str, object]] = [
        (f"study {study}", "held_out_above_gflops", value) for study, value in thresholds.items()
    ]
    for row in rows:
        where = f"{row['trial']}, {row['task']} {row['metric']}"
        found += [(where, name, row[name]) for name in ("value", "samples_seen")]
        optional = ("gflops_per_sample", "epochs")
        found += [(where, name, row[name]) for name in optional if row[name] is not None]
    problems = [
        f"{where}: {name} is {value!r}, not a number"
        for where, name, value in found
        if not isinstance(value, int | float)
    ]
    if problems:
        more = [f"and {len(problems) - SHOWN:,} more"] if len(problems) > SHOWN else []
        raise ScalingError("\n  ".join([f"{db} is damaged:", *problems[:SHOWN], *more]))


def _computed(table: "pd.DataFrame", compute: Compute) -> "list[float | None]":
    """GFLOPs per sample of each row by the store, else by its family's closed form.

    Imported measurements carry the published counting alone. Families that are not known here
    have no other counting, and their rows no compute.
    """
    found: dict[tuple[str, str], float | None] = {}
    uncounted = table[table["gflops_per_sample"].isna()]
    for family, model in set(zip(uncounted["family"], uncounted["model"], strict=True)):
        known = family in FAMILIES and model in FAMILIES.get(family).models
        profile = FAMILIES.get(family).profile(model) if known else None
        found[family, model] = getattr(profile, f"{compute}_gflops") if profile else None
    return [
        found[family, model] if gflops is None or gflops != gflops else gflops
        for family, model, gflops in zip(
            table["family"], table["model"], table["gflops_per_sample"], strict=True
        )
    ]
