"""open_clip's params.txt: the options that a run was started with, as fields of a run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from scaling.store.imports.csv_files import data_error, name, shown
from scaling.store.imports.fields import count
from scaling.store.imports.json_files import text_of
from scaling.store.imports.open_clip_log import FILE as LOG
from scaling.store.imports.open_clip_log import epoch_length
from scaling.store.imports.records import Setting

FILE = "params.txt"
KEPT = (
    "accum_freq",
    "beta1",
    "beta2",
    "coca_caption_loss_weight",
    "coca_contrastive_loss_weight",
    "dataset_resampled",
    "distill_model",
    "distill_pretrained",
    "epochs",
    "epochs_cooldown",
    "eps",
    "force_custom_text",
    "force_image_size",
    "force_patch_dropout",
    "force_quick_gelu",
    "grad_clip_norm",
    "image_crop_scale",
    "lock_image",
    "lock_image_unlocked_groups",
    "lock_text",
    "lock_text_unlocked_layers",
    "lr",
    "lr_cooldown_end",
    "lr_cooldown_power",
    "lr_scheduler",
    "momentum",
    "opt",
    "precision",
    "pretrained",
    "pretrained_image",
    "seed",
    "siglip",
    "skip_scheduler",
    "train_num_samples",
    "warmup",
    "wd",
)
"""Options that change what is learned, and so tell runs apart."""
_NOTHING = ("", "None", "False")


def read_params(folder: Path) -> dict[str, str]:
    """The options in a run's folder by name; raises `DataError` where they are not there."""
    path = folder / FILE
    found: dict[str, str] = {}
    problems = []
    for n, line in enumerate(text_of(path).splitlines(), start=1):
        option, colon, value = line.partition(": ")
        if not colon and option.endswith(":"):
            option, colon = option[:-1], ":"
        if not colon or not option.isidentifier():
            problems.append(f"line {n}: {shown(line)} is not OPTION: VALUE")
        elif found.setdefault(option, value.strip()) != value.strip():
            problems.append(f"line {n}: {option} is there twice, with different values")
    problems += [
        f"the option {key} is missing" for key in ("model", "batch_size") if key not in found
    ]
    if problems:
        raise data_error(path, problems)
    return found


def run_fields(folder: Path) -> tuple[dict[str, Any], tuple[tuple[str, Setting], ...]]:
    """What the options say in the words of `said.RUN_FIELDS`, and the hyper-parameters.

    Samples of an epoch are --train-num-samples, as the reference study counts them; open_clip
    rounds the last batch of an epoch up.
    """
    options = read_params(folder)
    problems: list[str] = []
    names = {
        "model": options["model"],
        "trial": options.get("name") or folder.resolve().name,
        "schedule": options.get("lr_scheduler", "cosine"),
    }
    for field, text in names.items():
        _parse(name, field, text, problems)
    numbers = {
        option: _parse(count, option, options[option], problems)
        for option in ("batch_size", "world_size", "accum_freq", "epochs", "train_num_samples")
        if options.get(option, "None") != "None"
    }
    if problems:
        raise data_error(folder / FILE, problems)
    batch = numbers["batch_size"] * numbers.get("world_size", 1) * numbers.get("accum_freq", 1)
    fields: dict[str, Any] = {**names, "family": family_of(options), "batch_size": batch}
    rate = _setting(options.get("lr", ""))
    if isinstance(rate, int | float) and not isinstance(rate, bool):
        fields["learning_rate"] = float(rate)
    for field, option in (("epochs", "epochs"), ("samples_per_epoch", "train_num_samples")):
        if option in numbers:
            fields[field] = numbers[option]
    if options.get("seed", "").isdecimal():
        fields["seed"] = int(options["seed"][:18])
    settings = tuple((key, _setting(options[key])) for key in KEPT if _is_set(options, key))
    return fields, (("batch_size", batch), *settings)


def _parse(kind: Callable[[str], Any], option: str, text: str, problems: list[str]) -> Any:
    try:
        return kind(text)
    except ValueError as error:
        problems.append(f"{option}: {shown(text)} {error}")


def family_of(options: dict[str, str]) -> str:
    """The family of a run, as open_clip chooses its loss: by --siglip, then the model's name."""
    model = options["model"].lower()
    if options.get("siglip") == "True" or "siglip" in model:
        return "siglip"
    if "mammut" in model:
        return (
            "cap" if _setting(options.get("coca_contrastive_loss_weight", "")) == 0 else "mammut"
        )
    return "coca" if "coca" in model else "clip"


def fields_beside(*files: str) -> tuple[dict[str, Any], tuple[tuple[str, Setting], ...]]:
    """`run_fields` of the run whose checkpoints folder one of `files` is in, if any is."""
    for file in files:
        folder = Path(file).parent.parent
        try:
            there = Path(file).parent.name == "checkpoints" and (folder / FILE).is_file()
        except OSError:
            there = False
        if there:
            fields, settings = run_fields(folder)
            if length := epoch_length(folder / LOG):
                fields.setdefault("samples_per_epoch", length)
            return fields, settings
    return {}, ()


def _is_set(options: dict[str, str], key: str) -> bool:
    return options.get(key, "") not in _NOTHING


def _setting(text: str) -> Setting:
    """A number where it is one."""
    for kind in (int, float):
        try:
            value = kind(text)
        except ValueError:
            continue
        if abs(value) < 1e300:
            return value
    return text == "True" or text
