"""Evaluation tasks, one file a kind.

A module here, `scaling/evals/KIND.py`, registers the kind of task by holding a `TASK` object that
satisfies `TaskKind`. What measurements are filed under, `imagenet1k`, is a kind on an evaluation
set, declared in YAML (`scaling.evals._catalogue`). Evaluation data is fixed: it depends neither on
the trial nor on its training set.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from scaling.registry import Registry

if TYPE_CHECKING:
    from scaling.datasets import Options
    from scaling.evals._subject import Subject
    from scaling.families import Ability

MAIN_METRICS = frozenset(
    {
        "acc1",
        "mean_average_precision",
        "image_retrieval_recall@5",
        "text_retrieval_recall@5",
        "mean_iou",
        "acc",
        "text_acc",
    }
)
"""Metrics that are fitted unless others are asked for."""


def lower_is_better(metric: str) -> bool:
    """Whether `metric` is its own error, as losses and error rates are, unlike an accuracy."""
    return is_loss(metric) or "error" in metric.lower()


def is_loss(metric: str) -> bool:
    """Whether `metric` may be above 1, as `fitting` sees it."""
    from fitting.series import LOSS_NAMES

    return bool(LOSS_NAMES.search(metric.lower()))


def error_word(metric: str) -> str:
    """What to call the error of `metric` on a terminal: a loss goes by its own name."""
    return metric if is_loss(metric) else "error"


class TaskKind(Protocol):
    """Something that can be measured at a checkpoint."""

    options: "type[Options]"
    """What YAML may say of such a task: which set, and how it is measured."""
    needs: "Ability | None"
    """What it asks of a network; None if every family's will do."""

    # `Any` below is an instance of `options`.

    def metrics(self, options: Any) -> tuple[str, ...]:
        """The names of what `measure` may return, in order; what is not defined it leaves out."""
        ...

    def check(self, options: Any, sets: Path | None) -> None:
        """Raise `DataError` if what is needed is not on this machine, whose sets are in `sets`."""
        ...

    def measure(self, options: Any, subject: "Subject") -> Mapping[str, float]:
        """Each metric's value for a network in eval mode; raises `DataError`."""
        ...


TASK_KINDS: Registry[TaskKind] = Registry("task kind", "scaling.evals", "TASK")
