"""The columns of an export: a row is one measurement that a study asks for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Type = Literal["string", "integer", "number"]

PYTHON_TYPES: dict[Type, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
}


@dataclass(frozen=True)
class Column:
    """One column: its name, type, unit and meaning."""

    name: str
    type: Type
    unit: str | None
    """None where there is nothing to count."""
    description: str
    is_of_machine: bool = False
    """Whether it says how or where a number was made: it may differ where results are the same."""


def _compute(convention: str) -> tuple[Column, Column]:
    return (
        Column(
            f"gflops_per_sample_{convention}",
            "number",
            "GFLOP/sample",
            f"forward compute of one sample, counting: {convention}",
        ),
        Column(
            f"compute_gflops_{convention}",
            "number",
            "GFLOP",
            f"gflops_per_sample_{convention} x samples_seen: forward compute of the training run",
        ),
    )


COLUMNS: tuple[Column, ...] = (
    Column("study", "string", None, "the question that asks for the number"),
    Column("family", "string", None, "what is compared: an architecture, a training procedure"),
    Column("model", "string", None, "a size of the family"),
    Column("dataset", "string", None, "what was trained on"),
    Column("schedule", "string", None, "the learning-rate schedule"),
    Column("samples_seen", "integer", "sample", "samples trained on when it was measured"),
    Column("seed", "integer", None, "tells repeated training runs apart"),
    Column("trial", "string", None, "the training run; `scaling show` tells more of it"),
    Column("task", "string", None, "what was evaluated"),
    Column("metric", "string", None, "what was measured there"),
    Column("value", "number", "1", "the number as the task reports it; accuracies are fractions"),
    Column("error", "number", "1", "1 - value for accuracies, the value itself for losses"),
    Column("epochs", "number", "epoch", "passes over the training set by then"),
    Column("evaluation_set", "string", None, "the version of the evaluation set"),
    Column("skipped_images", "integer", "image", "evaluation images that could not be read"),
    Column("params", "integer", "parameter", "parameters of the model"),
    *_compute("published"),
    *_compute("lean"),
    *_compute("full"),
    Column("batch_size", "integer", "sample", "samples of one step, over all devices"),
    Column("learning_rate", "number", None, "the highest of the schedule"),
    Column("kind", "string", None, "cosine, trunk, cooldown, or imported"),
    Column("identity", "string", None, "everything that defines the training run, as JSON"),
    Column("held_out_above_gflops", "number", "GFLOP", "the study fits at most this compute"),
    Column(
        "study_source", "string", None, "'grid', 'import' where others measured, 'imported grid'"
    ),
    Column("reference", "string", None, "what an import says about where the number stands"),
    Column("source", "string", None, "'own', or the path that was imported", True),
    Column("state", "string", None, "where the training run stands", True),
    Column("attempt", "integer", None, "which attempt at the training run measured it", True),
    Column("versions", "string", None, "of the programs and the device of that attempt", True),
)


def columns_of(*, git_friendly: bool) -> Sequence[Column]:
    """The columns that are written; without those of machines where a diff should show results."""
    return [column for column in COLUMNS if not (git_friendly and column.is_of_machine)]
