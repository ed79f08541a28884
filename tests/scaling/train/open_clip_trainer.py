"""open_clip's own training program, run in this process on batches that are in memory."""

import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import open_clip
import open_clip_train.main
import pytest
import torch
from open_clip_train.data import DataInfo
from torch import Tensor

from scaling.families import FAMILIES
from scaling.families.clip.network import open_clip_content
from scaling.trial import Recipe

Batch = tuple[Tensor, Tensor]


class Reported(NamedTuple):
    """What open_clip's training reports of each step, and the weights at its end."""

    losses: list[float]
    learning_rates: list[float]
    weights: dict[str, Tensor]


class _Loader:
    """Batches in memory, so many to an epoch, as open_clip's loop asks for them."""

    def __init__(self, batches: Sequence[Batch], per_epoch: int) -> None:
        self._left = iter(batches)
        self.num_batches = per_epoch
        self.num_samples = per_epoch * len(batches[0][0])

    def __iter__(self) -> Iterator[Batch]:
        return itertools.islice(self._left, self.num_batches)


class OpenClipTrainer:
    """`open_clip_train.main` with all that it does, save where batches and reports go."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self._patch = monkeypatch.setattr
        # It would put handlers on the root logger, which outlive a test.
        self._patch(open_clip_train.main, "setup_logging", lambda *_: None)

    def train(
        self,
        start: dict[str, Tensor],
        batches: Sequence[Batch],
        *flags: str,
        model: str = "tiny-a",
    ) -> Reported:
        """Train `model` from the weights `start` with the program's own `flags`."""
        epochs = int(flags[flags.index("--epochs") + 1])
        loader = _Loader(batches, len(batches) // epochs)
        scalars: dict[str, list[float]] = {}
        self._patch(open_clip_train.main, "get_data", lambda *_, **__: {"train": DataInfo(loader)})
        self._patch(open_clip_train.main, "tensorboard", _in_memory(scalars))
        torch.save(start, self._folder / "start.pt")
        state = torch.get_rng_state()
        open_clip_train.main.main(
            [
                *("--model", self._registered(model), "--pretrained", f"{self._folder}/start.pt"),
                *("--dataset-type", "synthetic", "--device", "cpu", "--precision", "fp32"),
                *("--batch-size", str(len(batches[0][0])), "--logs", str(self._folder)),
                *("--name", "theirs", "--report-to", "tensorboard", "--log-every-n-steps", "1"),
                *flags,
            ]
        )
        torch.set_rng_state(state)
        saved = self._folder / "theirs" / "checkpoints" / f"epoch_{epochs}.pt"
        return Reported(
            losses=scalars["train/loss"],
            learning_rates=scalars["train/lr"],
            weights=torch.load(saved, weights_only=True)["state_dict"],
        )

    def _registered(self, model: str) -> str:
        """The name under which open_clip's factory builds our `model` of clip."""
        path = self._folder / f"scaling-{model}.json"
        content = open_clip_content(FAMILIES.get("clip").models[model])
        path.write_text(json.dumps(_without_nulls(content)))
        open_clip.add_model_config(path)
        return path.stem


def optimizer_flags(recipe: Recipe) -> tuple[str, ...]:
    """open_clip's flags for what `recipe` says of the optimizer."""
    clip = () if recipe.grad_clip is None else ("--grad-clip-norm", str(recipe.grad_clip))
    return (
        *("--lr", str(recipe.learning_rate), "--wd", str(recipe.weight_decay)),
        *("--warmup", str(recipe.warmup_samples // recipe.batch_size)),
        *("--beta1", str(recipe.beta1), "--beta2", str(recipe.beta2), "--eps", str(recipe.eps)),
        *clip,
    )


def _without_nulls(content: dict[str, Any]) -> dict[str, Any]:
    """What is left to open_clip's defaults is absent from its files; it fails on some nulls."""
    return {
        key: _without_nulls(value) if isinstance(value, dict) else value
        for key, value in content.items()
        if value is not None
    }


def _in_memory(scalars: dict[str, list[float]]) -> SimpleNamespace:
    """Stands in for torch.utils.tensorboard, whose package need not be there."""

    class Writer:
        def __init__(self, folder: str) -> None: ...

        def add_scalar(self, name: str, value: float, step: int) -> None:
            values = scalars.setdefault(name, [])
            assert step == len(values)
            values.append(value)

    return SimpleNamespace(SummaryWriter=Writer)
