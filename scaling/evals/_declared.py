"""Tasks as YAML declares them: `experiments/evals/*.yaml`, and `tasks:` in a grid."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, ValidationError

from scaling.datasets import Options
from scaling.errors import OptionsError, unknown
from scaling.evals import MAIN_METRICS, TASK_KINDS, TaskKind
from scaling.evaluation_sets import EVALUATION_SETS, Truth
from scaling.registry import Registry


@dataclass(frozen=True, kw_only=True)
class SetChoice:
    """An evaluation set: its kind, and the options that the kind's own model validated."""

    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def of_kind(self) -> Options:
        """`options` as the kind's own model."""
        return EVALUATION_SETS.get(self.kind).options.model_validate(self.options)

    @property
    def truths(self) -> frozenset[Truth]:
        """What the set knows of its pictures."""
        return EVALUATION_SETS.get(self.kind).truths(self.of_kind())

    @property
    def metadata(self) -> frozenset[str]:
        """What else the set knows of them, by name: `metadata` among the options of its kind."""
        return frozenset(self.options.get("metadata", ()))


def _set_choice(value: object) -> object:
    if isinstance(value, SetChoice):
        return value
    kind, options = choice_of_kind(value, EVALUATION_SETS, "webdataset")
    return SetChoice(kind=kind, options=options)


ChosenSet = Annotated[
    SetChoice,
    BeforeValidator(_set_choice),
    PlainSerializer(lambda chosen: {"kind": chosen.kind, **chosen.options}),
]
"""What task kinds have as a field: `set: {kind: webdataset, folder: wds_imagenet1k_test}`."""


class About(BaseModel):
    """What is said of a task besides what its kind takes."""

    model_config = ConfigDict(frozen=True)

    about: str = ""
    """One line: what is measured on what."""
    obtain: str = ""
    """How a user gets the data."""
    main_metric: str | None = None
    """What is fitted unless another is asked for; a main metric of the kind, unless given."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """What measurements are filed under: a kind of task on a set, by name."""

    name: str
    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)
    """As `TaskKind.options` validated them, and as plain data."""
    about: About = About()  # noqa: RUF009  # frozen

    @classmethod
    def parse(cls, name: str, value: object) -> Self:
        """The task that YAML declares; raises `ValueError`, or `OptionsError` for its options."""
        said = {}
        if isinstance(value, Mapping):
            said = {key: its for key, its in value.items() if key in About.model_fields}
            value = {key: its for key, its in value.items() if key not in said}
        try:
            about = About.model_validate(said)
        except ValidationError as error:
            raise OptionsError(error, About) from error
        kind, options = choice_of_kind(value, TASK_KINDS, "zeroshot_classification")
        task = cls(name=name, kind=kind, options=options, about=about)
        if about.main_metric is not None and about.main_metric not in task.metrics:
            raise ValueError(unknown(f"metric of {name}", about.main_metric, task.metrics))
        return task

    @property
    def of_kind(self) -> TaskKind:
        """What measures it."""
        return TASK_KINDS.get(self.kind)

    def choices(self) -> Options:
        """`options` as the kind's own model."""
        return self.of_kind.options.model_validate(self.options)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of what is measured."""
        return self.of_kind.metrics(self.choices())

    @property
    def main_metric(self) -> str:
        """What is fitted and compared unless another is asked for."""
        main = [metric for metric in self.metrics if metric in MAIN_METRICS]
        return self.about.main_metric or [*main, *self.metrics][0]

    def check(self, sets: Path | None) -> None:
        """Raise `DataError` if what it needs is not on this machine, sets in the folder `sets`."""
        self.of_kind.check(self.choices(), sets)


def choice_of_kind(
    value: object, kinds: Registry[Any], example: str
) -> tuple[str, dict[str, Any]]:
    """The kind that a mapping names, and its other keys as the kind's own model has them."""
    if not isinstance(value, Mapping) or not isinstance(value.get("kind"), str):
        known = ", ".join(kinds.names())
        raise ValueError(f"give it a kind, e.g. {{kind: {example}}} (known: {known})")
    kind = str(value["kind"])
    if kind not in kinds:
        raise ValueError(unknown(kinds.kind, kind, kinds.names()))
    model = kinds.get(kind).options
    try:
        options = model.model_validate({key: its for key, its in value.items() if key != "kind"})
    except ValidationError as error:
        raise OptionsError(error, model) from error
    return kind, options.model_dump(mode="json", by_alias=True, exclude_defaults=True)
