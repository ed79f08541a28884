"""From a recipe and a table of points to panels with their data."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scaling.figures.recipe import Override, PanelRecipe, Recipe

if TYPE_CHECKING:
    import pandas as pd

    from fitting.figures import Panel


@dataclass(frozen=True)
class Figure:
    """A recipe's panels, and what of it cannot be drawn."""

    name: str
    shows: str
    panels: "tuple[Panel, ...]"
    skipped: tuple[str, ...] = field(default=())
    """Why each panel or contestant that is missing is missing."""


def draw(name: str, recipe: Recipe, points: "pd.DataFrame", override: Override) -> Figure:
    """The data of every panel that `points` have measurements for.

    Panels that are the same once `override` is applied are drawn once.
    """
    from fitting import FitError
    from fitting.figures import KINDS, PanelOptions

    panels: list[Panel] = []
    skipped: list[str] = []
    for panel in _distinct([override.apply(one) for one in recipe.panels]):
        rows = select(points, panel)
        present = set(rows["family"])
        missing = [one for one in panel.contestants if one not in present]
        if missing:
            skipped.append(f"{panel.title}: nothing was measured of {', '.join(missing)}")
        if not present:
            continue
        options = PanelOptions(
            law=panel.law,
            frontier=panel.frontier,
            x=panel.x,
            fit_to=panel.fit_to,
            draw_to=panel.draw_to,
            predict_at=panel.predict_at,
        )
        try:
            panels.append(KINDS[panel.kind](rows, panel.title, options))
        except FitError as error:
            skipped.append(str(error))
            continue
        skipped += panels[-1].notes
    return Figure(name, recipe.shows, tuple(panels), tuple(skipped))


def select(points: "pd.DataFrame", panel: PanelRecipe) -> "pd.DataFrame":
    """The rows that `panel` shows, contestants in column `family` and in the recipe's order."""
    kept = (points["task"] == panel.task) & (points["metric"] == panel.metric)
    for column in ("family", "dataset", "schedule"):
        wanted = panel.contestants if column == panel.by else (getattr(panel, column),)
        kept &= points[column].isin(wanted)
    if panel.max_x is not None:
        kept &= points[panel.x] <= panel.max_x
    if panel.max_samples is not None:
        kept &= points["samples_seen"] <= panel.max_samples
    if panel.min_samples is not None:
        kept &= points["samples_seen"] >= panel.min_samples
    for part in panel.without_models:
        kept &= ~points["model"].str.contains(part, regex=False)
    rows = points[kept]
    if panel.by != "family":
        # `fitting` compares families, so contestants and families change places.
        rows = rows.rename(columns={panel.by: "family", "family": panel.by})
    place = {name: order for order, name in enumerate(panel.contestants)}
    return rows.sort_values("family", key=lambda names: names.map(place), kind="stable")


def _distinct(panels: list[PanelRecipe]) -> list[PanelRecipe]:
    found: list[PanelRecipe] = []
    for panel in panels:
        same = panel.model_dump(exclude={"title"})
        if all(one.model_dump(exclude={"title"}) != same for one in found):
            found.append(panel)
    return found
