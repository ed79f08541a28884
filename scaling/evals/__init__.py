"""Evaluation tasks, one file each.

A module here, `scaling/evals/TASK.py`, registers the task by holding a `TASK` object that
satisfies `Task`. Evaluation data is fixed: it depends neither on the trial nor on its training
set.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from scaling.registry import Registry

if TYPE_CHECKING:
    from torch import nn

    from scaling.families import Ability
    from scaling.families._towers import ModelConfig

MAIN_METRICS = frozenset(
    {"acc1", "image_retrieval_recall@5", "text_retrieval_recall@5", "mean_iou", "acc", "text_acc"}
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


class Task(Protocol):
    """Something measured at a checkpoint, zero-shot."""

    metrics: tuple[str, ...]
    """The names of what `measure` returns."""
    needs: "Ability"
    """What it asks of a network."""

    def measure(self, network: "nn.Module", config: "ModelConfig") -> Mapping[str, float]:
        """Each metric's value for a network in eval mode, on the device of its parameters."""
        ...


TASKS: Registry[Task] = Registry("task", "scaling.evals", "TASK")
