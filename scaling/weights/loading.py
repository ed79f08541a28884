"""From a file of weights to a network; and, if they are another network's, to whose they are."""

import math
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from scaling.families import FAMILIES, find_model
from scaling.trial import Recipe
from scaling.weights.failures import WeightsError
from scaling.weights.files import Weights, read_weights, some
from scaling.weights.names import OPENAI_MARKS, called_as, without_wrappers
from scaling.weights.nearest import nearest_models


def load_network(path: Path, family: str, model: str, recipe: Recipe | None = None) -> nn.Module:
    """The network `model` of `family` with the weights in the file at `path`, in eval mode.

    Reads what `scaling.weights.files` lists, under the names of open_clip (CLIP, SigLIP, CoCa) or
    of the reference study (MaMMUT, Cap). Every parameter must be there in its shape. `recipe` is
    as in `Family.build`: files do not say how padding was treated in training.

    Raises `WeightsError` if it is not, with what differs and the model that the weights do fit,
    and `ScalingError` for an unknown family or model.
    """
    find_model(family, model)
    with torch.random.fork_rng(devices=[]):
        network = FAMILIES.get(family).build(model, recipe)
    load_into(network, path, owner=f"{family} {model}")
    return network.eval()


def load_into(network: nn.Module, path: Path, *, owner: str) -> None:
    """Give `network`, which messages call `owner`, the weights in the file at `path`.

    Raises `WeightsError` as `load_network` does; `network` is then as it was.
    """
    network.load_state_dict(_weights_of(network, path, owner))


def check_weights(path: Path, family: str, model: str) -> None:
    """Raise as `load_network` does where it would; nothing is built and no weight is copied."""
    find_model(family, model)
    with torch.device("meta"):
        network = FAMILIES.get(family).build(model)
    _weights_of(network, path, f"{family} {model}")


def _weights_of(network: nn.Module, path: Path, owner: str) -> Weights:
    """The weights in the file, by the names that `network` has for them and in its shapes."""
    wanted = network.state_dict()
    weights = called_as(without_wrappers(read_weights(path)), wanted)
    if OPENAI_MARKS.issubset(weights):
        weights = _without_marks(weights, network, path, owner)
    weights = _scalars_reshaped(weights, wanted)
    differences = _Differences(weights, wanted)
    if positions := differences.only_positions():
        raise WeightsError(
            f"{path}: {positions}: these weights are for another image size or caption length "
            f"than {owner} has, and positions are not resampled"
        )
    if differences:
        raise WeightsError(
            f"{path}: these are not weights of {owner}:\n{differences}\n  "
            + nearest_models(weights, owner)
        )
    return weights


def _without_marks(weights: Weights, network: nn.Module, path: Path, owner: str) -> Weights:
    from open_clip.transformer import QuickGELU

    if not any(isinstance(module, QuickGELU) for module in network.modules()):
        raise WeightsError(
            f"{path}: these are OpenAI's weights ({', '.join(sorted(OPENAI_MARKS))} are among "
            f"them), trained with QuickGELU; {owner} has GELU and would give wrong features"
        )
    return {name: tensor for name, tensor in weights.items() if name not in OPENAI_MARKS}


def _scalars_reshaped(weights: Weights, wanted: Mapping[str, Tensor]) -> Weights:
    """open_clip's `nonscalar_logit_scale` gives scalars the shape [1]."""
    return {
        name: tensor.reshape(wanted[name].shape)
        if name in wanted and tensor.numel() == wanted[name].numel() == 1
        else tensor
        for name, tensor in weights.items()
    }


class _Differences:
    """What of `weights` is not as a network wants it; false if nothing is."""

    def __init__(self, weights: Weights, wanted: Mapping[str, Tensor]) -> None:
        self.missing = [name for name in wanted if name not in weights]
        self.unexpected = [name for name in weights if name not in wanted]
        self.shapes = {
            name: (tuple(weights[name].shape), tuple(tensor.shape))
            for name, tensor in wanted.items()
            if name in weights and weights[name].shape != tensor.shape
        }
        # Integers where there should be fractions: quantised.
        self.types = [
            f"{name} is {weights[name].dtype}"
            for name, tensor in wanted.items()
            if name in weights and weights[name].is_floating_point() != tensor.is_floating_point()
        ]

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected or self.shapes or self.types)

    def __str__(self) -> str:
        shapes = [self._shape(name) for name in self.shapes]
        kinds = {
            "missing": self.missing,
            "unexpected": self.unexpected,
            "of other shape": shapes,
            "of other type": self.types,
        }
        return "\n".join(
            f"  {len(names)} {kind}: {some(names)}" for kind, names in kinds.items() if names
        )

    def only_positions(self) -> str:
        """The shapes, if all that differs is the number of positions; '' otherwise."""
        others = self.missing or self.unexpected or self.types
        if others or not all(map(self._is_position, self.shapes)):
            return ""
        return "; ".join(map(self._shape, self.shapes))

    def _is_position(self, name: str) -> bool:
        found, wanted = self.shapes[name]
        is_table = name.endswith(("positional_embedding", "pos_embed"))
        return is_table and found[-1:] == wanted[-1:]

    def _shape(self, name: str) -> str:
        found, wanted = self.shapes[name]
        return f"{name} is {list(found)}{_grid(name, found)}, not {list(wanted)}"


def _grid(name: str, shape: tuple[int, ...]) -> str:
    """How many patches a table of image positions is for, the class token left out."""
    side = math.isqrt(max(shape[0] - 1, 0)) if len(shape) == 2 else 0
    is_square = side > 0 and side * side == shape[0] - 1
    return f" ({side} x {side} patches)" if is_square and name.startswith("visual.") else ""
