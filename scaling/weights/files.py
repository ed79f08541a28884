"""Files of weights as a flat dict of tensors, whoever wrote them; no code in them is run.

| file | written by |
| --- | --- |
| `epoch_N.pt`: `state_dict` beside optimizer and epoch | open_clip, the reference study |
| a bare state dict | `torch.save(network.state_dict(), path)` |
| `*.safetensors` | open_clip on the Hugging Face hub |
| a checkpoint: `network` beside optimizer and position | this project |
"""

import io
import pickle
import pickletools
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from scaling.weights.failures import WeightsError

Weights = dict[str, Tensor]
"""Tensors by the names of a network's parameters and buffers."""

_HOLDERS = ("state_dict", "network")
"""Keys that a file keeps its weights under, if it holds anything else."""

_TENSORS = ("torch.", "collections.OrderedDict")
"""How names begin that every tensor and state dict in torch's old format mentions."""

_TORN = (RuntimeError, ValueError, TypeError, LookupError, AttributeError, EOFError, OSError)
"""What reading a file that is damaged, or not torch's, ends with."""


def read_weights(path: Path) -> Weights:
    """The tensors in the file at `path`, on the CPU, under the names that they have there.

    Where the format allows it, a tensor is read from the disk when it is used, so that the
    optimizer beside the weights costs nothing.

    Raises `WeightsError` if there is no such file, if it holds anything but tensors under names,
    or if reading it means to run code, which is named and not run.
    """
    kind = _kind(path)
    if kind == "safetensors":
        return _read_safetensors(path)
    return _tensors(path, _unwrapped(_read_torch(path, is_zip=kind == "zip")))


def _kind(path: Path) -> Literal["safetensors", "zip", "pickle"]:
    try:
        with path.open("rb") as file:
            head = file.read(9)
    except IsADirectoryError:
        raise WeightsError(f"{path}: is a folder; name a file of weights in it") from None
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}") from error
    if head.startswith(b"PK"):
        _check_archive(path)
        return "zip"
    # Eight bytes of length, then a JSON object.
    return "safetensors" if head[8:] == b"{" else "pickle"


def _check_archive(path: Path) -> None:
    """Refuse archives that hold code, or that torch did not write, with a word on what to do."""
    try:
        with zipfile.ZipFile(path) as archive:
            parts = {name.partition("/")[2] for name in archive.namelist()}
    except zipfile.BadZipFile as error:
        raise WeightsError(f"{path}: is damaged: {error}") from error
    if "constants.pkl" in parts:
        raise WeightsError(
            f"{path}: is a TorchScript archive, as OpenAI published CLIP in: it holds code, which "
            "is not run here. Take weights as safetensors, or save `torch.jit.load(...)"
            ".state_dict()` of it where you trust it"
        )
    if "data.pkl" not in parts:
        raise WeightsError(f"{path}: is a zip archive, but none that `torch.save` wrote")


def _read_safetensors(path: Path) -> Weights:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        weights: Weights = load_file(path)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path}: is damaged: {error}") from error
    return weights


def _read_torch(path: Path, *, is_zip: bool) -> Any:
    try:
        with warnings.catch_warnings():
            # About pickle protocols; what comes of them is said below.
            warnings.simplefilter("ignore")
            # Only the zip format can be mapped into memory.
            return torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except pickle.UnpicklingError as error:
        refused = _refused(path, is_zip=is_zip)
        if not refused:
            raise WeightsError(f"{path}: holds no weights that `torch.save` wrote") from error
        raise WeightsError(
            f"{path}: refused: reading it means to call {some(refused)}, and weights need no such "
            "call; nothing of it was run. Save the state dict alone, or safetensors"
        ) from error
    except _TORN as error:
        raise WeightsError(f"{path}: holds no weights, or is damaged: {_first_line(error)}") from (
            error
        )


def _refused(path: Path, *, is_zip: bool) -> list[str]:
    """The functions and classes that a pickle names, without those that torch knows as harmless.

    Found by reading its instructions, not by following them.
    """
    if is_zip:
        return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    with path.open("rb") as file:
        return sorted(name for name in set(_globals(file)) if not name.startswith(_TENSORS))


def _globals(file: io.BufferedReader) -> Iterator[str]:
    """Of one pickle after another, as torch's old format has them, up to what is none."""
    strings: list[str] = []
    while file.peek(1):
        try:
            for instruction, argument, _ in pickletools.genops(file):
                if instruction.name == "GLOBAL":
                    yield str(argument).replace(" ", ".")
                elif instruction.name == "STACK_GLOBAL":
                    yield ".".join(strings[-2:])
                elif isinstance(argument, str):
                    strings.append(argument)
        except ValueError:
            return


def _unwrapped(content: Any) -> Any:
    if isinstance(content, Mapping):
        for holder in _HOLDERS:
            if isinstance(content.get(holder), Mapping):
                return content[holder]
    return content


def _tensors(path: Path, content: Any) -> Weights:
    if not isinstance(content, Mapping):
        raise WeightsError(
            f"{path}: holds a {type(content).__name__}, not tensors under the names of parameters"
        )
    for name, value in content.items():
        if not (isinstance(name, str) and isinstance(value, Tensor)):
            raise WeightsError(
                f"{path}: {name!r} is a {type(value).__name__}, not a tensor; expected are a "
                f"state dict, or one under {' or '.join(map(repr, _HOLDERS))}"
            )
        if value.is_meta or value.layout is not torch.strided:
            kind = "no values" if value.is_meta else f"the layout {value.layout}"
            raise WeightsError(f"{path}: {name} has {kind}; weights are dense tensors")
    return dict(content)


def some(names: list[str]) -> str:
    """The first few names."""
    shown = 4
    return ", ".join(names[:shown]) + (", ..." if len(names) > shown else "")


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
