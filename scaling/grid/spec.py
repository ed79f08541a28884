"""The grid as it is written: one pydantic model a section."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from scaling.datasets import DATASETS
from scaling.errors import OptionsError, ScalingError, unknown
from scaling.evals._catalogue import CATALOGUE
from scaling.evals._declared import Task
from scaling.evals._suites import SUITES
from scaling.evaluation_sets import Broken
from scaling.families import FAMILIES
from scaling.families._open_clip import canonical_name
from scaling.grid.machine import (
    EvaluationResourcesRule,
    ExecutionRule,
    ResourcesRule,
    Strict,
    of_model,
)
from scaling.grid.sweeps import SweepRule
from scaling.grid.values import Condition, Warmup, parse_condition, parse_warmup
from scaling.registry import Registry
from scaling.schedule import COOLDOWN_SHAPES
from scaling.train.optimizer_names import OPTIMIZERS
from scaling.trial import Data, Padding, Precision
from scaling.units import parse_count

Count = Annotated[int, BeforeValidator(parse_count)]
"""Samples: 12800000 or 12.8M."""


def _listed(value: object) -> object:
    return value if isinstance(value, list | tuple) else [value]


def _known(registry: Registry[Any]) -> AfterValidator:
    def check(name: str) -> str:
        if name not in registry:
            raise ValueError(unknown(registry.kind, name, registry.names()))
        return name

    return AfterValidator(check)


def _canonical(model: str) -> str:
    try:
        return canonical_name(model)
    except ScalingError as error:
        raise ValueError(str(error)) from error


def _each_once(values: tuple[Any, ...]) -> tuple[Any, ...]:
    twice = sorted({str(value) for value in values if values.count(value) > 1})
    if twice:
        raise ValueError(f"listed twice: {', '.join(twice)}")
    return values


Once = AfterValidator(_each_once)
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
FamilyName = Annotated[str, _known(FAMILIES)]
ModelName = Annotated[str, AfterValidator(_canonical)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
OptionValue = bool | int | Annotated[float, Field(allow_inf_nan=False)] | str | list[float] | None
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Match(Strict):
    """Which cells a rule is about; a key that is absent matches everything."""

    families: Annotated[tuple[FamilyName, ...], BeforeValidator(_listed)] | None = None
    models: Annotated[tuple[ModelName, ...], BeforeValidator(_listed)] | None = None
    datasets: Annotated[tuple[str, ...], BeforeValidator(_listed)] | None = None
    schedules: Annotated[tuple[str, ...], BeforeValidator(_listed)] | None = None
    samples_seen: Annotated[Condition, BeforeValidator(parse_condition)] | None = None
    """A condition such as '<= 3.1M'."""
    seeds: Annotated[tuple[int, ...], BeforeValidator(_listed)] | None = None


class RecipeRule(Match):
    """How to train the cells that match; a list of values is a sweep over them."""

    batch_size: Annotated[tuple[Annotated[int, Field(gt=0)], ...], BeforeValidator(_listed)] = (
        1024,
    )
    learning_rate: Annotated[tuple[Positive, ...], BeforeValidator(_listed)] = (1e-3,)
    warmup: Annotated[
        tuple[Annotated[Warmup, BeforeValidator(parse_warmup)], ...], BeforeValidator(_listed)
    ] = (Warmup(amount=2000, unit="steps"),)
    weight_decay: Annotated[
        tuple[Annotated[float, Field(ge=0)], ...], BeforeValidator(_listed)
    ] = (0.2,)
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.95
    eps: Positive = 1e-6
    grad_clip: Positive | None = 1.0
    caption_loss_weight: Annotated[tuple[NotNegative, ...], BeforeValidator(_listed)] = (1.0,)
    precision: Precision = "bf16"
    optimizer: str = "adamw"
    optimizer_options: dict[str, OptionValue] = Field(default_factory=dict)
    """Keywords of an optimizer other than AdamW, e.g. {betas: [0.9, 0.99]}."""
    patch_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    pad: Padding = "attend"

    @field_validator("optimizer")
    @classmethod
    def _optimizer_is_known(cls, optimizer: str) -> str:
        if optimizer not in OPTIMIZERS:
            raise ValueError(unknown("optimizer", optimizer, OPTIMIZERS))
        return optimizer

    @model_validator(mode="after")
    def _numbers_of_adamw_are_for_adamw(self) -> "RecipeRule":
        if self.optimizer == "adamw":
            if self.optimizer_options:
                raise ValueError(
                    "'optimizer_options' are for other optimizers; AdamW has beta1, beta2 and eps"
                )
            return self
        if foreign := sorted({"beta1", "beta2", "eps"} & self.model_fields_set):
            raise ValueError(
                f"{', '.join(map(repr, foreign))}: for adamw only; {self.optimizer} takes "
                "'optimizer_options', e.g. {betas: [0.9, 0.99]}"
            )
        if self.optimizer_options:
            # The one case in which reading a grid takes the seconds of importing torch.
            from scaling.train.optimizers import check_options

            check_options(self.optimizer, self.optimizer_options)
        return self


class TaskRule(Match):
    """A task, and the cells that it is measured for."""

    task: str

    @model_validator(mode="before")
    @classmethod
    def _a_bare_word_is_a_task(cls, value: object) -> object:
        return {"task": value} if isinstance(value, str) else value

    @property
    def is_for_all(self) -> bool:
        """Whether every cell is measured."""
        return self.model_fields_set == {"task"}


class Schedule(Strict):
    """How the learning rate goes after the warm-up."""

    kind: Literal["cosine", "const", "const-cooldown"]
    name: Name | None = None
    """What the results are called by; the kind, unless given."""
    cooldown: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Fraction of each length over which the learning rate falls to zero (default 0.2)."""
    shape: str | None = None
    """How it falls: linear (default), 1-sqrt or cosine."""

    @model_validator(mode="before")
    @classmethod
    def _a_bare_word_is_a_kind(cls, value: object) -> object:
        return {"kind": value} if isinstance(value, str) else value

    @field_validator("shape")
    @classmethod
    def _shape_is_known(cls, shape: str | None) -> str | None:
        if shape is not None and shape not in COOLDOWN_SHAPES:
            raise ValueError(unknown("cooldown shape", shape, COOLDOWN_SHAPES))
        return shape

    @model_validator(mode="after")
    def _only_cooldowns_cool_down(self) -> "Schedule":
        if self.kind != "const-cooldown" and (self.cooldown or self.shape):
            raise ValueError(f"'cooldown' and 'shape' belong to const-cooldown, not {self.kind}")
        return self

    @property
    def label(self) -> str:
        """The name that cells carry."""
        return self.name or self.kind


def _dataset(value: object) -> Data:
    """A dataset's kind, and its options as the kind's own model validated them."""
    if not isinstance(value, dict) or "kind" not in value:
        raise ValueError(f"give it a kind, e.g. {{kind: shapes}} (known: {_kinds()})")
    kind = str(value["kind"])
    if kind not in DATASETS:
        raise ValueError(unknown("dataset kind", kind, DATASETS.names()))
    model = DATASETS.get(kind).options
    try:
        options = model.model_validate({k: v for k, v in value.items() if k != "kind"})
    except ValidationError as error:
        raise OptionsError(error, model) from error
    return Data(kind=kind, options=options.model_dump(mode="json", exclude_defaults=True))


def _declared(value: object) -> Mapping[str, object]:
    """What declares a task, as it was written, once it is found good."""
    Task.parse("task", value)
    assert isinstance(value, Mapping)
    return value


def _kinds() -> str:
    return ", ".join(DATASETS.names())


def _held_out_gflops(value: object) -> float:
    """The threshold in 'compute > 2.5e11', in GFLOPs."""
    words = str(value).split()
    try:
        if words[:2] == ["compute", ">"] and len(words) == 3 and float(words[2]) > 0:
            return float(words[2])
    except ValueError:
        pass
    raise ValueError(
        f"{value!r} is not a held-out rule; write 'compute > 2.5e11' (forward GFLOPs)"
    )


class Grid(Strict):
    """The cross product of families, models, datasets, schedules, samples seen and seeds."""

    study: Name
    """What the results are filed under."""
    families: Annotated[tuple[FamilyName, ...], Field(min_length=1), Once]
    models: Annotated[tuple[ModelName, ...], Field(min_length=1), Once]
    samples_seen: Annotated[tuple[Count, ...], Field(min_length=1), Once]
    datasets: Annotated[
        dict[Name, Annotated[Data, BeforeValidator(_dataset)]], Field(min_length=1)
    ]
    schedules: Annotated[tuple[Schedule, ...], Field(min_length=1)] = (Schedule(kind="cosine"),)
    recipes: tuple[RecipeRule, ...] = ()
    """The first that matches a cell is its recipe; none matching means all defaults."""
    tasks: dict[Name, Annotated[object, AfterValidator(_declared)]] = Field(default_factory=dict)
    """Tasks of this grid's own, declared as in `experiments/evals/`."""
    evaluate: Annotated[tuple[TaskRule, ...], Field(min_length=1)]
    """Names of tasks and suites of the catalogue (`scaling tasks`), or of `tasks`."""
    evaluation_sets: Path | None = None
    """The folder of evaluation sets; unless given, what SCALING_EVALUATION_SETS says."""
    broken_images: Broken = "error"
    """What becomes of an evaluation picture that does not decode: an error, or a counted gap."""
    evaluate_on: Literal["worker", "separate"] = "worker"
    """Who measures a checkpoint: the process that trained it, before it trains on, or an attempt
    of its own, which does not hold what training occupies."""
    evaluation_resources: EvaluationResourcesRule | None = None
    """What such an attempt occupies; one GPU and one CPU core, unless given."""
    held_out: Annotated[float, BeforeValidator(_held_out_gflops)] | None = None
    """Forward GFLOPs above which measurements check a law and never make it."""
    seeds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1), Once] = (0,)
    exclude: tuple[Match, ...] = ()
    resources: dict[ModelName, ResourcesRule] = Field(default_factory=dict)
    """By model name; `default` is for the others."""
    execution: dict[ModelName, ExecutionRule] = Field(default_factory=dict)
    """By model name; `default` is for the others."""
    sweep: SweepRule | None = None
    """How members of sweeps are stopped early; absent, all are trained to their end."""
    round_to_batch: bool = False
    """Round samples seen to whole batches instead of refusing what is not."""

    @field_validator("evaluate")
    @classmethod
    def _tasks_are_known(
        cls, rules: tuple[TaskRule, ...], others: ValidationInfo
    ) -> tuple[TaskRule, ...]:
        known = {*others.data.get("tasks", ()), *CATALOGUE, *SUITES}
        if problems := [
            f"evaluate.{position}: {unknown('task or suite', rule.task, known)}"
            for position, rule in enumerate(rules)
            if rule.task not in known
        ]:
            raise ProblemsError(problems)
        _each_once(tuple(rule.task for rule in rules))
        return rules

    @model_validator(mode="after")
    def _resources_of_evaluations_are_for_separate_ones(self) -> "Grid":
        if self.evaluation_resources and self.evaluate_on != "separate":
            raise ValueError("'evaluation_resources' need 'evaluate_on: separate'")
        return self

    @model_validator(mode="after")
    def _schedules_have_names_of_their_own(self) -> "Grid":
        labels = [schedule.label for schedule in self.schedules]
        if twice := sorted({label for label in labels if labels.count(label) > 1}):
            raise ValueError(
                f"two schedules are called {twice[0]!r}: tell them apart with 'name: ...'"
            )
        return self

    @model_validator(mode="after")
    def _rules_name_what_the_grid_has(self) -> "Grid":
        problems = []
        sections: dict[str, tuple[Match, ...]] = {
            "recipes": self.recipes,
            "exclude": self.exclude,
            "evaluate": self.evaluate,
        }
        for section, rules in sections.items():
            for position, rule in enumerate(rules):
                problems += [
                    f"{section}.{position}.{key}: {unknown(word, name, known)}"
                    for key, word, names, known in (
                        ("models", "model of this grid", rule.models, self.models),
                        ("datasets", "dataset of this grid", rule.datasets, self.datasets),
                        ("schedules", "schedule of this grid", rule.schedules, self._labels),
                    )
                    for name in names or ()
                    if name not in known
                ]
        problems += [
            f"{section}.{name}: {unknown('model of this grid', name, self.models)}"
            for section, rules in (("resources", self.resources), ("execution", self.execution))
            for name in rules
            if name not in (*self.models, "default")
        ]
        problems += [
            f"execution: micro_batch_size: auto is for one GPU, and {model} takes "
            f"{resources.gpus:g}; write a number"
            for model in self.models
            if (execution := of_model(self.execution, model))
            and (resources := of_model(self.resources, model))
            and execution.micro_batch_size == "auto"
            and resources.gpus > 1
        ]
        measured = [rule.task for rule in self.measured]
        if self.sweep and self.sweep.task not in measured:
            word = unknown("task of this grid", self.sweep.task, measured)
            problems.append(f"sweep.task: {word}")
        elif self.sweep and self.sweep.metric:
            known = self.task(self.sweep.task).metrics
            if self.sweep.metric not in known:
                word = unknown(f"metric of {self.sweep.task}", self.sweep.metric, known)
                problems.append(f"sweep.metric: {word}")
        if problems:
            raise ProblemsError(problems)
        return self

    @property
    def measured(self) -> tuple[TaskRule, ...]:
        """`evaluate` with its members in the place of each suite.

        A task that is in several suites, or in a suite and by itself, is there several times only
        if that is for different cells.
        """
        found: list[TaskRule] = []
        for rule in self.evaluate:
            for task in self.tasks_of(rule):
                measured = rule.model_copy(update={"task": task})
                if measured not in found:
                    found.append(measured)
        return tuple(found)

    def tasks_of(self, rule: TaskRule) -> tuple[str, ...]:
        """The names of tasks that `rule` is about: the members of a suite, or one."""
        is_suite = rule.task in SUITES and rule.task not in self.tasks
        return tuple(SUITES[rule.task].members) if is_suite else (rule.task,)

    @property
    def declared(self) -> tuple[str, ...]:
        """The tasks that it declares or measures."""
        return tuple(dict.fromkeys([*self.tasks, *(rule.task for rule in self.measured)]))

    def task(self, name: str) -> Task:
        """The task that is measured by this name."""
        return Task.parse(name, self.tasks[name]) if name in self.tasks else CATALOGUE[name]

    @property
    def _labels(self) -> tuple[str, ...]:
        return tuple(schedule.label for schedule in self.schedules)


class ProblemsError(ScalingError, ValueError):
    """Several problems found by one validator, each with its own key path."""

    def __init__(self, problems: list[str]) -> None:
        """`problems` are complete lines: 'key.path: what is wrong'."""
        self.problems = problems
        super().__init__("; ".join(problems))
