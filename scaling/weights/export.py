"""From a checkpoint of a trial to files that other programs load."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch

from scaling.errors import ResourceError
from scaling.families import FAMILIES, find_model
from scaling.train import checkpoints
from scaling.trial import Checkpoint, Trial
from scaling.weights.failures import WeightsError
from scaling.weights.files import Weights
from scaling.weights.open_clip import (
    PREPROCESSING,
    open_clip_configuration,
    open_clip_name,
)

Format = Literal["open-clip", "safetensors"]

_HUB_WEIGHTS = "open_clip_model.safetensors"
_HUB_CONFIG = "open_clip_config.json"
"""Names by which open_clip finds both in a folder (`local-dir:FOLDER`)."""


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was written."""

    weights: Path
    configuration: Path | None
    """The model's configuration for open_clip; None if open_clip has no such network."""
    model: str
    """The model's name in open_clip, once it has read the configuration."""
    trial_id: str
    samples_seen: int
    params: int


def export(
    trial: Trial, checkpoint: Checkpoint, folder: Path, *, number: int, file_format: Format
) -> Exported:
    """Write the network in `checkpoint` of `trial` to `folder`, made if missing.

    `open-clip`: `epoch_NUMBER.pt` with `state_dict`, `name` and `epoch`, as open_clip's trainer
    and the reference study's. `safetensors`: a folder as open_clip has on the Hugging Face hub.
    Beside either, `MODEL.json` with the network's configuration, where open_clip can build it.
    Weights are as trained, in fp32, under open_clip's or the study's names.

    Raises `WeightsError` rather than write over another file, and `CheckpointError` if the
    checkpoint is missing or not what was saved.
    """
    state = checkpoints.load(checkpoint, torch.device("cpu"), mapped=True)
    weights: Weights = state["network"]
    name = open_clip_name(trial.family, trial.model)
    with torch.device("meta"):
        network = FAMILIES.get(trial.family).build(trial.model, trial.recipe)
    config = find_model(trial.family, trial.model)
    configuration = open_clip_configuration(config, network, weights)
    texts = _configuration_files(name, configuration, file_format)
    file = folder / (f"epoch_{number}.pt" if file_format == "open-clip" else _HUB_WEIGHTS)
    _check(file, texts, folder, sum(tensor.nbytes for tensor in weights.values()))
    folder.mkdir(parents=True, exist_ok=True)
    for its_name, text in texts.items():
        _write_whole(folder / its_name, partial(Path.write_text, data=text, encoding="utf-8"))
    if file_format == "open-clip":
        content = {"epoch": number, "name": trial.id, "state_dict": weights}
        content["samples_seen"] = checkpoint.samples_seen
        _write_whole(file, lambda path: torch.save(content, path))
    else:
        _write_whole(file, lambda path: _save_safetensors(weights, path, trial, checkpoint))
    return Exported(
        weights=file,
        configuration=folder / f"{name}.json" if configuration else None,
        model=name,
        trial_id=trial.id,
        samples_seen=checkpoint.samples_seen,
        params=sum(tensor.numel() for tensor in weights.values()),
    )


def _configuration_files(
    name: str, configuration: dict[str, Any] | None, file_format: Format
) -> dict[str, str]:
    if configuration is None:
        return {}
    files = {f"{name}.json": configuration}
    if file_format == "safetensors":
        files[_HUB_CONFIG] = {"model_cfg": configuration, "preprocess_cfg": PREPROCESSING}
    return {file: json.dumps(content, indent=2) + "\n" for file, content in files.items()}


def _check(file: Path, texts: dict[str, str], folder: Path, needed: int) -> None:
    """Refuse to write over anything that is different, or onto a disk without room."""
    existing = next((parent for parent in (folder, *folder.parents) if parent.exists()), Path())
    if not existing.is_dir():
        raise WeightsError(f"{existing}: is a file, not a folder")
    if file.exists():
        raise WeightsError(f"{file}: is there already; delete it, or write to another folder")
    for name, text in texts.items():
        there = folder / name
        if there.exists() and there.read_text(encoding="utf-8") != text:
            raise WeightsError(
                f"{there}: is the configuration of another network; write to another folder"
            )
    free = shutil.disk_usage(existing).free
    if free < needed + 2**20:
        raise ResourceError(
            f"{folder}: the weights need {needed / 2**30:.2f} GiB of disk, {free / 2**30:.2f} GiB "
            "are free"
        )


def _save_safetensors(weights: Weights, path: Path, trial: Trial, checkpoint: Checkpoint) -> None:
    from safetensors.torch import save_file

    # As tools that read the hub's files expect; the values must be text.
    metadata = {
        "format": "pt",
        "trial": trial.id,
        "samples_seen": str(checkpoint.samples_seen),
    }
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, path, metadata)


def _write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Readers see the whole file or none."""
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        write(temporary)
        temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)
