"""Recipes of figures as YAML declares them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

import scaling
from scaling.errors import GridError, ScalingError, unknown

_PACKAGE = Path(scaling.__file__).parent
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class PanelRecipe(BaseModel):
    """One panel: which measurements, whose, and how they are fitted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    kind: Literal["laws", "curves", "optimal"] = "laws"
    """One of `fitting.figures.KINDS`."""
    by: Literal["family", "dataset", "schedule"] = "family"
    """What contestants are."""
    contestants: Annotated[tuple[str, ...], Field(min_length=1)]
    family: str | None = None
    """Whose measurements, where contestants are no families."""
    dataset: str | None = None
    schedule: str | None = None
    task: str
    metric: str
    law: str = "saturating"
    frontier: str = "published"
    x: Literal["compute_gflops", "samples_seen"] = "compute_gflops"
    fit_to: _Positive | dict[str, _Positive] | None = None
    """Largest x that is fitted; what lies beyond is held out and checks the law."""
    max_x: _Positive | None = None
    """Measurements beyond it are left out."""
    max_samples: _Positive | None = None
    """Measurements of more samples seen are left out."""
    min_samples: _Positive | None = None
    without_models: tuple[str, ...] = ()
    """Models whose names hold one of these are left out."""
    draw_to: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    predict_at: tuple[_Positive, ...] = ()

    @model_validator(mode="after")
    def _one_of_each_column_is_named(self) -> "PanelRecipe":
        for column in ("family", "dataset", "schedule"):
            if (getattr(self, column) is None) != (column == self.by):
                said = "contestants stand in its place" if column == self.by else "is required"
                raise ValueError(f"{column}: {said} with 'by: {self.by}'")
        return self


class Recipe(BaseModel):
    """One figure: its panels, and what all of them share."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shows: str
    """What a reader sees in it, one sentence."""
    panels: Annotated[tuple[PanelRecipe, ...], Field(min_length=1)]

    @model_validator(mode="before")
    @classmethod
    def _common_keys_are_each_panels(cls, content: Any) -> Any:
        if not isinstance(content, dict) or not isinstance(content.get("common"), dict):
            return content
        common, panels = content["common"], content.get("panels")
        rest = {key: value for key, value in content.items() if key != "common"}
        if isinstance(panels, list):
            rest["panels"] = [common | one if isinstance(one, dict) else one for one in panels]
        return rest


@dataclass(frozen=True)
class Override:
    """What another study calls the columns of a recipe; None leaves what the recipe says."""

    task: str | None = None
    metric: str | None = None
    dataset: str | None = None
    schedule: str | None = None

    def apply(self, panel: PanelRecipe) -> PanelRecipe:
        """`panel` of other measurements; what is compared stays."""
        given = {
            name: value
            for name, value in vars(self).items()
            if value is not None and name != panel.by
        }
        return panel.model_copy(update=given)


def folder() -> Path:
    """Where the recipes are: within an installed package, or beside it in a checkout."""
    installed = _PACKAGE / "experiments" / "figures"
    return installed if installed.is_dir() else _PACKAGE.parent / "experiments" / "figures"


def recipes(names: Sequence[str] = ()) -> dict[str, Recipe]:
    """Recipes by name, all by default; a name that ends in .yaml is a file of one's own.

    Raises `ScalingError` if a name is unknown, `GridError` with all that is wrong with a file.
    """
    known = {path.stem: path for path in sorted(folder().glob("*.yaml"))}
    chosen = {}
    for name in names or known:
        if name.endswith((".yaml", ".yml")):
            chosen[Path(name).stem] = Path(name)
        elif name in known:
            chosen[name] = known[name]
        else:
            raise ScalingError(unknown("figure", name, known))
    return {name: read_recipe(path) for name, path in chosen.items()}


def read_recipe(path: Path) -> Recipe:
    """The recipe in a file; raises `GridError` that names file and keys."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise GridError(str(path), [f"cannot be read: {error.strerror}"]) from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise GridError(str(path), [f"not valid YAML: {error}"]) from error
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        raise GridError(str(path), [_line(one) for one in error.errors()]) from error


def _line(problem: Any) -> str:
    place = ".".join(map(str, problem["loc"]))
    prefix = f"{place}: " if place else ""
    match problem["type"]:
        case "extra_forbidden":
            model = PanelRecipe if "panels" in problem["loc"] else Recipe
            return f"{prefix}{unknown('key', str(problem['loc'][-1]), model.model_fields)}"
        case "missing":
            return f"{prefix}is required"
        case "value_error":
            return f"{prefix}{problem['ctx']['error']}"
        case _:
            return f"{prefix}{problem['input']!r}: {problem['msg']}"
