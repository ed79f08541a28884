"""A head, and with it an image tower, trained on pictures with masks.

Source: github.com/tue-mps/benchmark-vfm-ss at b657aad, `training/semantic.py`. Its batch is 4
pictures on each of 4 GPUs; here it is 16 on one device. There, networks compute in fp16.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from scaling.datasets._cores import in_threads
from scaling.datasets._prefetch import ReadAhead
from scaling.errors import DataError, ScalingError
from scaling.evals._segmentation.augmenting import augmented
from scaling.evals._segmentation.options import TrainingOptions
from scaling.evals._segmentation.segmenter import PatchEncoder, Segmenter, autocast
from scaling.evaluation_sets import IGNORED, Pictures

_STEPS_UNTIL_CHECK = 100


class Fitted(NamedTuple):
    """What was trained, and how it went."""

    segmenter: Segmenter
    losses: Tensor
    """(steps,), each of its own batch, in fp32."""


def fitted(
    encoder: PatchEncoder,
    pictures: Pictures,
    *,
    classes: int,
    crop: int,
    options: TrainingOptions,
    is_frozen: bool,
) -> Fitted:
    """Train a head on `encoder`, and `encoder` itself, in place, unless `is_frozen`.

    The same on every call on a CPU, to the last bit, for the same number of threads.

    Raises `DataError` if there are too few pictures, `ScalingError` if a loss is not finite.
    """
    device = encoder.device
    steps = _steps(len(pictures), options)
    devices = [device] if device.type == "cuda" else []
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.random.fork_rng(devices=devices),
    ):
        torch.manual_seed(options.seed)
        encoder.requires_grad_(not is_frozen)
        segmenter = _with_head(encoder, crop, classes).train()
        if is_frozen:
            encoder.eval()
        batches = ReadAhead(Batches(pictures, crop, options).read, step=1, until=steps)
        optimizer = _optimizer(segmenter, options, is_frozen=is_frozen)
        losses = []
        try:
            for step in range(steps):
                factor = rate_factor(step, steps, options)
                for group in optimizer.param_groups:
                    group["lr"] = factor * group["peak"]
                losses.append(_step(segmenter, optimizer, *batches.at(step)))
                if (step + 1) % _STEPS_UNTIL_CHECK == 0 or step + 1 == steps:
                    _check(losses)
        finally:
            batches.close()
    return Fitted(segmenter, torch.stack(losses).cpu())


def rate_factor(step: int, steps: int, options: TrainingOptions) -> float:
    """What learning rates are multiplied by in this step of so many."""
    warmup = options.warmup_steps
    if step < warmup:
        return step / warmup
    return float((1 - (step - warmup) / (steps - warmup)) ** options.decay_power)


def _steps(count: int, options: TrainingOptions) -> int:
    steps = options.epochs * (count // options.batch_size)
    if not steps:
        raise DataError(
            f"{count} pictures to learn from do not fill a batch of {options.batch_size}"
        )
    if steps <= options.warmup_steps:
        raise DataError(
            f"warmup_steps: {options.warmup_steps:,} leave nothing of the {steps:,} steps that "
            f"{options.epochs} epochs over {count:,} pictures take"
        )
    return steps


class Batches:
    """Pictures and masks of each step, a function of the seed and the step alone."""

    def __init__(self, pictures: Pictures, crop: int, options: TrainingOptions) -> None:
        """Each epoch sees the pictures in an order of its own, and as many as fill batches."""
        self._pictures, self._crop, self._options = pictures, crop, options

    def read(self, step: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Pictures (batch, crop, crop, 3) and masks (batch, crop, crop)."""
        size, crop = self._options.batch_size, self._crop
        epoch, batch = divmod(step, len(self._pictures) // size)
        order = self._generator(epoch).permutation(len(self._pictures))
        images = np.empty((size, crop, crop, 3), np.uint8)
        masks = np.empty((size, crop, crop), np.uint8)

        def read(row: int) -> None:
            generator = self._generator(epoch, batch, row)
            position = int(order[batch * size + row])
            images[row], masks[row] = self._sample(position, generator)

        in_threads(read, range(size))
        return images, masks

    def _sample(
        self, position: int, generator: np.random.Generator
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """The picture at `position`, or the next that is whole and has pixels with a class."""
        count = len(self._pictures)
        for later in range(count):
            picture = self._pictures[(position + later) % count]
            if picture is not None and (picture.mask != IGNORED).any():
                return augmented(picture, self._crop, self._options, generator)
        raise DataError(f"none of {count:,} pictures to learn from has a pixel with a class")

    def _generator(self, *place: int) -> np.random.Generator:
        entropy = np.random.SeedSequence((self._options.seed, *place), spawn_key=(len(place),))
        return np.random.Generator(np.random.Philox(entropy))


def _with_head(encoder: PatchEncoder, crop: int, classes: int) -> Segmenter:
    with torch.no_grad():
        width = encoder(torch.zeros(1, 3, crop, crop, device=encoder.device)).shape[2]
    # Drawn on the CPU, so that a seed means the same head on every device.
    return Segmenter(encoder, nn.Linear(width, classes).to(encoder.device))


def _optimizer(
    segmenter: Segmenter, options: TrainingOptions, *, is_frozen: bool
) -> torch.optim.Optimizer:
    groups = [{"params": list(segmenter.head.parameters()), "peak": options.learning_rate}]
    if not is_frozen:
        parameters = list(segmenter.encoder.parameters())
        groups.append({"params": parameters, "peak": options.encoder_learning_rate})
    return torch.optim.AdamW(groups, lr=0.0, weight_decay=options.weight_decay)


def _step(
    segmenter: Segmenter,
    optimizer: torch.optim.Optimizer,
    images: NDArray[np.uint8],
    masks: NDArray[np.uint8],
) -> Tensor:
    device = segmenter.encoder.device
    truth = torch.from_numpy(masks).to(device).long()
    optimizer.zero_grad()
    with autocast(device):
        logits = segmenter(segmenter.encoder.inputs(images))
    upsampled = functional.interpolate(logits.float(), truth.shape[1:], mode="bilinear")
    total = functional.cross_entropy(upsampled, truth, ignore_index=IGNORED, reduction="sum")
    # The mean over pixels with a class, of which a batch may have none.
    loss = total / (truth != IGNORED).sum().clamp(min=1)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return loss.detach()


def _check(losses: list[Tensor]) -> None:
    recent = torch.stack(losses[-_STEPS_UNTIL_CHECK:]).tolist()
    if not all(map(math.isfinite, recent)):
        raise ScalingError(
            f"training for segmentation diverged before step {len(losses):,}: its loss is not "
            "finite; a lower learning_rate may help"
        )
