"""Means over tasks that every grid and fit may name: `suites:` in `experiments/evals/*.yaml`."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from scaling.errors import ScalingError
from scaling.evals._catalogue import declared


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


Metrics = Annotated[tuple[str, ...], BeforeValidator(_listed), Field(min_length=1)]


class Suite(BaseModel):
    """The mean over tasks, each by a metric of its own or by the mean of several."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """What its values are filed under, as if it were a task."""
    about: str = Field(min_length=1)
    """One line: the mean of what."""
    metric: str
    """What the mean is called; that of every member, where they are a list."""
    members: Annotated[Mapping[str, Metrics], Field(min_length=1)]
    """Of each task the metrics whose mean enters."""

    @model_validator(mode="before")
    @classmethod
    def _a_list_of_members_shares_the_metric(cls, value: Any) -> Any:
        members = value.get("members")
        if not isinstance(members, list):
            return value
        if twice := sorted({name for name in members if members.count(name) > 1}):
            raise ValueError(f"members are listed twice: {', '.join(twice)}")
        return {**value, "members": dict.fromkeys(members, value.get("metric"))}


class Suites(Mapping[str, Suite]):
    """Suites by name, read when first asked for; each is parsed when looked up."""

    @cached_property
    def _parsed(self) -> dict[str, Suite]:
        return {}

    def __getitem__(self, name: str) -> Suite:
        """The suite of this name; raises `KeyError`, `ScalingError` if it is declared wrongly."""
        if name not in self._parsed:
            path, value = declared("suites")[name]
            try:
                self._parsed[name] = Suite.model_validate({"name": name, **value})
            except ValidationError as error:
                raise ScalingError(f"{path}: suites.{name}: {error}") from error
        return self._parsed[name]

    def __iter__(self) -> Iterator[str]:
        """Names, in the order of files."""
        return iter(declared("suites"))

    def __len__(self) -> int:
        """How many suites there are."""
        return len(declared("suites"))


SUITES = Suites()


def main_metric_of(task: str) -> str | None:
    """What the files declare to be fitted of a task or suite; None if they declare nothing."""
    if task in SUITES:
        return SUITES[task].metric
    if task not in declared("tasks"):
        return None
    _, value = declared("tasks")[task]
    main: str | None = value.get("main_metric")
    return main
