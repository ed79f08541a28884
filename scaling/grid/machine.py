"""What trials occupy and how they are computed: sections that change no result."""

from collections.abc import Mapping
from typing import Annotated, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from scaling.trial import Sharding


class Strict(BaseModel):
    """Unknown keys are errors; a grid does not change after it was read."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ResourcesRule(Strict):
    """What one trial of a model occupies."""

    gpus: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
    cpus: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    processes: Annotated[int, Field(ge=1)] = 1

    @field_validator("gpus")
    @classmethod
    def _several_gpus_are_whole_ones(cls, gpus: float) -> float:
        if gpus > 1 and gpus != int(gpus):
            raise ValueError(f"{gpus} is neither a fraction of one GPU nor a whole number of them")
        return gpus

    @model_validator(mode="after")
    def _processes_share_cpus(self) -> "ResourcesRule":
        if self.processes > 1 and self.gpus:
            raise ValueError(
                f"'processes: {self.processes}' is for CPUs: write 'gpus: 0' beside it; on GPUs "
                "every GPU has a process of its own"
            )
        return self


class EvaluationResourcesRule(Strict):
    """What measuring a checkpoint occupies, where that is apart from training."""

    gpus: Annotated[float, Field(ge=0, le=1)] = 1.0
    """One GPU at most: a single process measures."""
    cpus: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0


def _rows(value: object) -> object:
    is_count = isinstance(value, int) and not isinstance(value, bool) and value > 0
    if value is None or value == "auto" or is_count:
        return value
    raise ValueError(f"{value!r} is neither a number of rows nor 'auto'")


class ExecutionRule(Strict):
    """How trials of a model are computed. See `scaling.trial.Execution`."""

    micro_batch_size: Annotated[int | Literal["auto"] | None, BeforeValidator(_rows)] = None
    gradient_checkpointing: bool = False
    compile: bool = False
    sharding: Sharding = "ddp"


R = TypeVar("R", bound=Strict)


def of_model(rules: Mapping[str, R], model: str) -> R | None:
    """The rule for `model`, else the default one, else None."""
    return rules.get(model, rules.get("default"))
