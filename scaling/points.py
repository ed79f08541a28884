"""Measurements as points of error against compute: the table that `fitting` takes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from scaling.database import Database
from scaling.errors import ScalingError, unknown
from scaling.evals import lower_is_better
from scaling.families import FAMILIES
from scaling.numbers import Numbers, all_numbers, check, main_numbers
from scaling.store import GRID, IMPORTED_GRID, Compute, Filters, Store
from scaling.suites import members_too, with_suites
from scaling.sweeps import best_members

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    *("study", "dataset", "schedule", "task", "metric", "family", "model", "samples_seen", "seed"),
    *("trial", "epochs", "params", "compute_gflops", "error"),
)
"""Of points, in this order."""


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
    filters: Filters = {
        "study": selection.study,
        "dataset": selection.dataset,
        "schedule": selection.schedule,
        "task": selection.task,
        "metric": None if selection.metric == "all" else selection.metric,
    }
    read = main_numbers if selection.metric is None else all_numbers
    with Store.read(db) as store:
        studies = store.heads()
        numbers = read(store, selection.compute, members_too(filters))
    thresholds = {
        study.name: study.held_out_above_gflops
        for study in studies
        if study.held_out_above_gflops is not None
    }
    check(db, numbers, thresholds)
    numbers = replace(numbers, table=with_suites(numbers, filters))
    if selection.families is not None:
        numbers = _of_families(db, numbers, selection.families)
    if numbers.table.empty:
        raise ScalingError(f"{db}: nothing was measured of what was selected")
    if selection.metric is None:
        main, has_main = numbers.main()
        numbers = replace(numbers, table=numbers.table[main | ~has_main])
    points = _points(_priced(db, numbers, selection))
    grids = {study.name for study in studies if study.source in (GRID, IMPORTED_GRID)}
    points = best_members(points, grids)
    return points.reset_index(drop=True), thresholds


def _of_families(db: Database, numbers: Numbers, families: Sequence[str]) -> Numbers:
    its = numbers.of_cells("family")
    known = sorted(its.unique())
    for family in families:
        if family not in known:
            raise ScalingError(f"{db}: {unknown('family', family, known)}")
    return replace(numbers, table=numbers.table[its.isin(families)])


def _priced(db: Database, numbers: Numbers, selection: Selection) -> Numbers:
    """Those whose GFLOPs per sample are known, by the counting that is asked for."""
    import pandas as pd

    if selection.compute != "published":
        cells = numbers.cells
        counted = pd.Series(_computed(cells, selection.compute), cells.index, dtype=float)
        numbers = replace(numbers, cells=cells.assign(gflops_per_sample=counted))
    strangers = sorted(set(numbers.of_cells("family").unique()) - set(FAMILIES.names()))
    known = numbers.of_cells("gflops_per_sample").notna()
    numbers = replace(numbers, table=numbers.table[known])
    if numbers.table.empty:
        raise ScalingError(
            f"{db}: of nothing that was selected the {selection.compute} "
            f"GFLOPs per sample are known{_why_unknown(strangers, selection.compute)}"
        )
    priced = set(numbers.of_cells("family").unique())
    for family in selection.families or ():
        if family not in priced:
            raise ScalingError(
                f"{db}: the {selection.compute} GFLOPs per sample of {family} are not known"
            )
    return numbers


def _points(numbers: Numbers) -> "pd.DataFrame":
    """What is said of cells beside each number, with its compute and its error."""
    table = numbers.table
    of_cells = numbers.cells.take(table["cell"].to_numpy()).set_axis(table.index)
    losses = {metric: lower_is_better(metric) for metric in table["metric"].unique()}
    is_loss = table["metric"].map(losses).astype(bool)
    gflops = of_cells["gflops_per_sample"].astype(float)
    return of_cells.drop(columns=["gflops_per_sample", "params"]).assign(
        task=table["task"],
        metric=table["metric"],
        epochs=table["epochs"],
        params=of_cells["params"],
        compute_gflops=gflops * of_cells["samples_seen"],
        error=table["value"].where(is_loss, 1 - table["value"]),
    )[[*COLUMNS]]


def _why_unknown(strangers: list[str], compute: Compute) -> str:
    if compute == "published" or not strangers:
        return ""
    return (
        f": {', '.join(strangers)} are imported families, whose compute is only known as it was "
        "imported (--compute published)"
    )


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
