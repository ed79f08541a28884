"""Comparing datasets or schedules: the same analysis with another column as the contestants.

`fitting` compares families within a setting of (study, dataset, schedule, task, metric). To
compare datasets, dataset and family change places before the fit and back after it.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from scaling.errors import ScalingError, unknown

if TYPE_CHECKING:
    import pandas as pd

By = Literal["family", "dataset", "schedule"]

_CELL = ("study", "dataset", "schedule", "task", "metric", "family", "model", "samples_seen")


def as_families(points: "pd.DataFrame", by: By, names: Sequence[str] | None) -> "pd.DataFrame":
    """`points` with column `by` in the place of the families, of `names` only.

    Datasets and schedules are paired: only cells (family, model, samples seen and the rest of the
    setting) that every contestant has are kept, so that none is judged by cells that another
    lacks. Raises `ScalingError` if a name is unknown or nothing is shared.
    """
    if by == "family":
        return points
    if names is not None:
        known = sorted(points[by].unique())
        for name in names:
            if name not in known:
                raise ScalingError(f"--compare {name}: {unknown(by, name, known)}")
        points = paired(points[points[by].isin(names)], by, len(set(names)))
        if points.empty:
            raise ScalingError(
                f"--by {by}: {', '.join(names)} share no cell (same family, model, samples seen "
                "and task)"
            )
    return points.rename(columns={by: "family", "family": by})


def paired(points: "pd.DataFrame", by: By, contestants: int) -> "pd.DataFrame":
    """The points of cells that all of so many values of column `by` have."""
    cell = [column for column in _CELL if column != by]
    sharing = points.groupby(cell)[by].transform("nunique")
    return points[sharing == contestants]


def restored(report: dict[str, list[dict[str, Any]]], by: By) -> dict[str, list[dict[str, Any]]]:
    """The report with families and contestants in their own places again.

    In comparisons, whose contestants are `a` and `b`, `by` is None and `family` is the shared one.
    """
    if by == "family":
        return report
    for entry in [*report["fits"], *report["failures"]]:
        entry["family"], entry[by] = entry[by], entry["family"]
    for entry in report["comparisons"]:
        entry["family"], entry[by] = entry[by], None
    return report
