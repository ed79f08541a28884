"""What is known of a checkpoint of somebody else's: its run, and how far that had trained."""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from scaling.store.imports.records import Run, Setting
from scaling.store.imports.said import lacking

CONSTANT = "const"
"""The schedule whose every checkpoint is an end of its own."""
_EPOCH = re.compile(r"epoch_([0-9]{1,9})(?![0-9])")
_PREFIXES = ("sg_cap_", "mammut_", "coca_")
"""The architecture's name within a model's, which here is the family's."""
_MOST = 2**63 - 1


class Place(NamedTuple):
    """A run, and a length of it."""

    run: Run
    samples_seen: int
    in_fits: bool
    """See `Measured.in_fits`."""


def epoch_in(path: str) -> int | None:
    """N of the last epoch_N in a path, which is how open_clip names checkpoints."""
    found = _EPOCH.findall(path)
    return int(found[-1]) if found and int(found[-1]) > 0 else None


def run_in(path: str) -> str:
    """The name of the run in the path of a checkpoint: RUN/checkpoints/epoch_N.pt."""
    parts = PurePosixPath(path.replace("\\", "/")).parts
    folders = [part for part in parts[:-1] if part not in ("checkpoints", "/")]
    if epoch_in(parts[-1]) is None:
        return parts[-1]
    return folders[-1] if folders else ""


def simple_model(model: str) -> str:
    """A model's name without the family's."""
    for prefix in _PREFIXES:
        if model.startswith(prefix) and len(model) > len(prefix):
            return model.removeprefix(prefix)
    return model


def place_of(
    known: Mapping[str, Any], settings: tuple[tuple[str, Setting], ...] = ()
) -> tuple[Place | None, list[str]]:
    """Where `known` (`said.RUN_FIELDS`) puts a checkpoint, or everything that it lacks for that.

    Of a schedule that was planned for an end, only the checkpoint there is compared with others.
    """
    missing = [f for f in ("family", "model", "dataset", "schedule") if f not in known]
    epoch, epochs = known.get("epoch"), known.get("epochs")
    if "samples_seen" not in known:
        missing += [f for f in ("epoch", "samples_per_epoch") if f not in known]
    intermediate = known.get("schedule") != CONSTANT and epoch is not None
    if intermediate and epochs is None and "schedule" in known:
        missing.append("epochs")
    if missing:
        return None, lacking(missing)
    samples = known.get("samples_seen") or epoch * known["samples_per_epoch"]
    if samples > _MOST:
        return None, [f"{samples:,} samples seen are more than the store can hold"]
    if epoch is not None and epochs is not None and epoch > epochs:
        return None, [f"epoch {epoch} is after the last of {epochs}"]
    model = simple_model(known["model"])
    profile = _profile(known["family"], model)
    run = Run(
        family=known["family"],
        model=model,
        dataset=known["dataset"],
        schedule=known["schedule"],
        params=known.get("params", profile.get("params")),
        gflops_per_sample=known.get("gflops_per_sample", profile.get("gflops_per_sample")),
        seed=known.get("seed", 0),
        trial=known.get("trial") or None,
        settings=settings,
        batch_size=known.get("batch_size"),
        learning_rate=known.get("learning_rate"),
    )
    return Place(run, samples, not intermediate or epoch == epochs), []


def _profile(family: str, model: str) -> dict[str, Any]:
    """Parameters and cost of a size that this program knows, in the reference study's counting."""
    from scaling.families import FAMILIES
    from scaling.families._towers import ViTConfig

    if family not in FAMILIES.names() or model not in list(FAMILIES.get(family).models):
        return {}
    if not isinstance(FAMILIES.get(family).models[model], ViTConfig):
        return {}
    profile = FAMILIES.get(family).profile(model)
    return {"params": profile.params, "gflops_per_sample": profile.published_gflops}


COMPUTE = (
    "forward GFLOPs per sample that were given, or else this program's in the reference study's "
    "counting"
)
