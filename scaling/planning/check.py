"""Whether this machine has what a plan needs; the only part of planning that imports it."""

import importlib
from collections.abc import Iterator

from scaling.datasets import DATASETS
from scaling.errors import ScalingError
from scaling.plan import Plan


def problems(plan: Plan, *, uses_ray: bool) -> list[str]:
    """Everything that is missing, each 'what: why'."""
    return [*_data(plan), *_tasks(plan), *_programs(uses_ray=uses_ray), *_gpus(plan)]


def _data(plan: Plan) -> Iterator[str]:
    sets = {cell.dataset: cell.trial.data for cell in plan.cells}
    for name, data in sets.items():
        try:
            kind = DATASETS.get(data.kind)
            kind.check(kind.options.model_validate(data.options))
        except ScalingError as error:
            yield f"datasets.{name}: {error}"


def _tasks(plan: Plan) -> Iterator[str]:
    for name, task in plan.evaluation.tasks.items():
        try:
            task.check(plan.evaluation.sets)
        except (ScalingError, ImportError) as error:
            yield f"evaluate.{name}: {error}"


def _programs(*, uses_ray: bool) -> Iterator[str]:
    for name in ("torch", "open_clip", *(("ray",) if uses_ray else ())):
        try:
            importlib.import_module(name)
        except ImportError as error:
            hint = "; or use `--executor local`" if name == "ray" else ""
            yield f"{name}: cannot be imported ({error}); install it{hint}"


def _gpus(plan: Plan) -> Iterator[str]:
    try:
        import torch
    except ImportError:
        return
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    wanted = {planned.trial.model: planned.resources.gpus for planned in plan.trials}
    lacking = {model: gpus for model, gpus in wanted.items() if gpus > max(1, there)}
    for model, gpus in lacking.items():
        yield f"resources: {model} asks for {gpus:g} GPUs; this machine has {there}"
