"""A network under evaluation: what tasks ask of it, computed once however many tasks ask."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scaling.errors import ScalingError
from scaling.evals._evaluation import Evaluation
from scaling.evaluation_sets import EVALUATION_SETS, Batch, Examples
from scaling.evaluation_sets._batches import joined
from scaling.families._images import CLIP_PREPROCESSING, Preprocessing, to_inputs
from scaling.families._tokenizers import tokenize

if TYPE_CHECKING:
    from torch import Tensor, device, nn

    from scaling.evals._declared import SetChoice
    from scaling.families import Family
    from scaling.families._towers import ModelConfig

_TEXTS_AT_ONCE = 256

Features = NDArray[np.float32]
"""(count, D), of unit L2 norm."""


class NotFiniteError(ScalingError):
    """A network whose outputs are no numbers, of which nothing can be measured."""


class Seen(NamedTuple):
    """All pictures of a set as the network sees them, and what is true of them."""

    features: Features
    truths: Batch
    """`images` is empty: pictures are not kept."""


class Subject:
    """`network`, in eval mode, of the shape `config`, and what was computed of it so far.

    Features of a set's pictures and classifiers are kept, so that tasks on the same set, and tasks
    with the same classes, share them. On a GPU networks compute in bf16, on a CPU in fp32.
    """

    def __init__(
        self,
        network: "nn.Module",
        config: "ModelConfig",
        evaluation: Evaluation | None = None,
        *,
        family: "Family | None" = None,
        preprocessing: Preprocessing = CLIP_PREPROCESSING,
    ) -> None:
        """Nothing is computed yet; tasks that measure a family's losses need `family`."""
        self.network = network
        self._family = family
        self.config = config
        self.preprocessing = preprocessing
        self.evaluation = evaluation or Evaluation()
        self.asked: list[Examples] = []
        """The sets that tasks asked for, in order."""
        self._opened: dict[str, Examples] = {}
        self._seen: dict[str, Seen] = {}
        self._classifiers: dict[tuple[tuple[str, ...], tuple[str, ...]], Features] = {}

    @property
    def family(self) -> "Family":
        """The training procedure whose network this is."""
        assert self._family is not None
        return self._family

    @property
    def device(self) -> "device":
        """Where the network's parameters are."""
        return next(self.network.parameters()).device

    def examples(self, choice: "SetChoice") -> Examples:
        """The set that a task chose, opened; raises `DataError`."""
        key = f"{choice.kind} {json.dumps(choice.options, sort_keys=True)}"
        if key not in self._opened:
            kind = EVALUATION_SETS.get(choice.kind)
            where = self.evaluation
            self._opened[key] = kind.open(choice.of_kind(), where.sets, where.broken)
        self.asked.append(self._opened[key])
        return self._opened[key]

    def batches(self, examples: Examples) -> Iterator[Batch]:
        """The pictures of a set, at this network's image size."""
        return examples.batches(self.config.image_size, self.preprocessing.framing)

    def seen(self, examples: Examples) -> Seen:
        """Features of all pictures of a set, and what is true of them."""
        if examples.identity not in self._seen:
            features, truths = [], []
            for batch in self.batches(examples):
                features.append(self.image_features(batch.images))
                truths.append(batch._replace(images=batch.images[:0]))
            self._seen[examples.identity] = Seen(np.concatenate(features), joined(truths))
        return self._seen[examples.identity]

    def inputs(self, images: NDArray[np.uint8]) -> "Tensor":
        """Images (count, S, S, 3) as this network takes them, where it is."""
        return to_inputs(images, self.device, self.preprocessing.mean, self.preprocessing.std)

    def image_features(self, images: NDArray[np.uint8]) -> Features:
        """Features of images (count, S, S, 3)."""
        encode: Any = self.network.encode_image
        with self.computing():
            return as_array(encode(self.inputs(images)))

    def text_features(self, texts: Sequence[str]) -> Features:
        """Features of texts."""
        import torch

        encode: Any = self.network.encode_text
        tokens = torch.from_numpy(tokenize(texts, self.config))
        with self.computing():
            return np.concatenate(
                [
                    as_array(encode(part.to(self.device)))
                    for part in torch.split(tokens, _TEXTS_AT_ONCE)
                ]
            )

    def classifier(self, class_names: Sequence[str], templates: Sequence[str]) -> Features:
        """One unit vector a class (classes, D): the mean of its prompts' features, normalised.

        A template holds `{c}` where the class name goes. Source: CLIP_benchmark's
        `zero_shot_classifier`, after Radford et al. 2021 (arXiv:2103.00020).
        """
        key = (tuple(class_names), tuple(templates))
        if key not in self._classifiers:
            prompts = [form.replace("{c}", name) for name in class_names for form in templates]
            features = self.text_features(prompts)
            means = features.reshape(len(class_names), len(templates), -1).mean(axis=1)
            self._classifiers[key] = means / np.linalg.norm(means, axis=1, keepdims=True)
        return self._classifiers[key]

    @contextmanager
    def computing(self) -> Iterator[None]:
        """A context in which the network computes as evaluations do."""
        import torch

        kind = self.device.type
        with (
            torch.inference_mode(),
            torch.autocast(kind, torch.bfloat16, enabled=kind == "cuda"),
        ):
            yield


def as_array(found: "Tensor") -> NDArray[np.float32]:
    """What a network computed, in fp32 on the CPU; raises `NotFiniteError`."""
    array: NDArray[np.float32] = found.float().cpu().numpy()
    if not np.isfinite(array).all():
        # Comparisons with NaN are false, and would make every answer the best one.
        raise NotFiniteError("the network computes numbers that are not finite: it has diverged")
    return array
