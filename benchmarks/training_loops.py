"""Training steps on batches in memory: this project's loop and open_clip's, on the same network.

Needs torch and open_clip_torch, and no more of what runs grids.
"""

import copy
import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple, Protocol

import torch
from open_clip.loss import ClipLoss, CoCaLoss, SigLipLoss
from open_clip.model import CLIP
from open_clip_train.scheduler import cosine_lr
from open_clip_train.train import train_one_epoch
from torch import Tensor, nn

from scaling.families import FAMILIES, find_model
from scaling.families.clip.network import open_clip_content
from scaling.train.session import Session
from scaling.trial import Cosine, Data, Execution, Recipe

Batch = tuple[Tensor, Tensor]
LEARNING_RATE, WARMUP_STEPS, WEIGHT_DECAY, BETAS, EPS, CLIP_NORM = (
    5e-4,
    10,
    0.2,
    (0.9, 0.95),
    1e-6,
    1.0,
)
_OPEN_CLIP_PRECISION = {"fp32": "fp32", "bf16": "amp_bfloat16"}


class Case(NamedTuple):
    """What both loops train, and where."""

    family: str
    model: str
    batch_size: int
    precision: str
    device: torch.device

    def batch(self, number: int) -> Batch:
        """Pictures of noise with captions of random words, drawn on the device.

        Lengths are those of web captions: log-normal around 15 tokens, up to the whole context.
        """
        config, rows = find_model(self.family, self.model), self.batch_size
        draw = torch.Generator(self.device).manual_seed(number)
        on = {"generator": draw, "device": self.device}
        images = torch.randn(rows, 3, *[config.image_size] * 2, **on)
        spread = torch.exp(0.6 * torch.randn(rows, 1, **on))
        lengths = (15 * spread).round().clamp(4, config.context_length)
        tokens = torch.randint(1, config.vocab_size - 2, (rows, config.context_length), **on)
        positions = torch.arange(config.context_length, device=self.device)
        tokens[:, 0] = config.vocab_size - 2
        tokens[positions == lengths - 1] = config.vocab_size - 1
        tokens[positions >= lengths] = 0
        return images, tokens

    def trial(self, steps: int) -> Cosine:
        """The trial whose steps are taken."""
        recipe = Recipe(
            batch_size=self.batch_size,
            learning_rate=LEARNING_RATE,
            warmup_samples=WARMUP_STEPS * self.batch_size,
            weight_decay=WEIGHT_DECAY,
            beta1=BETAS[0],
            beta2=BETAS[1],
            eps=EPS,
            grad_clip=CLIP_NORM,
            precision=self.precision,
        )
        return Cosine(
            family=self.family,
            model=self.model,
            data=Data(kind="shapes"),
            recipe=recipe,
            samples_seen=steps * self.batch_size,
        )


class Drawn(Sequence[Batch]):
    """The first batches of a case, each drawn when it is asked for: more than memory holds.

    A network that sees few batches again and again learns them by heart, and what is left of its
    loss is then made of rounding.
    """

    def __init__(self, case: Case, count: int) -> None:
        """So many."""
        self._case = case
        self._count = count

    def __len__(self) -> int:
        """How many there are."""
        return self._count

    def __getitem__(self, number: Any) -> Any:
        """Batch `number`."""
        if not 0 <= number < self._count:
            raise IndexError(number)
        return self._case.batch(number)


class Loop(Protocol):
    """A network in training."""

    def run(self, batches: Sequence[Batch]) -> None:
        """A step on each batch, as fast as it goes."""
        ...

    def losses(self, batches: Sequence[Batch]) -> list[float]:
        """A step on each batch; the loss of each."""
        ...


class Here:
    """This project's session. See `Loop`."""

    def __init__(self, case: Case, steps: int, *, compiled: bool = False) -> None:
        """For a schedule of so many steps."""
        execution = Execution(compile=True) if compiled else Execution()
        self.session = Session(case.trial(steps), case.device, execution=execution)

    def run(self, batches: Sequence[Batch]) -> None:
        """See `Loop.run`."""
        for images, tokens in batches:
            self.session.step(images, tokens)
        self.session.check()

    def losses(self, batches: Sequence[Batch]) -> list[float]:
        """See `Loop.losses`."""
        found = []
        for images, tokens in batches:
            self.session.step(images, tokens)
            found.append(self.session.loss)
        return [loss.item() for loss in found]


class OpenClip:
    """open_clip's `train_one_epoch`, with model, loss and optimizer as its program makes them."""

    def __init__(self, case: Case, steps: int, *, compiled: bool = False) -> None:
        """From the weights that `Here` starts from."""
        if case.device.type == "cuda":
            # As its program does.
            torch.backends.cuda.matmul.allow_tf32 = True
            torch.backends.cudnn.benchmark = True
        start = Session(case.trial(steps), case.device)
        self._model, self._loss = _as_open_clip(case, start.network)
        self._optimizer = _optimizer(self._model)
        if compiled:
            self._model = torch.compile(self._model)
        self._schedule = cosine_lr(self._optimizer, LEARNING_RATE, WARMUP_STEPS, steps)
        self._case = case
        self._steps = 0

    def run(self, batches: Sequence[Batch]) -> None:
        """See `Loop.run`; it reports as often as by default, every 100 steps."""
        self._run(batches, log_every=100, writer=None)

    def losses(self, batches: Sequence[Batch]) -> list[float]:
        """See `Loop.losses`."""
        found: list[float] = []

        def add_scalar(name: str, value: float, step: int) -> None:
            if name == "train/loss":
                found.append(value)

        self._run(batches, log_every=1, writer=SimpleNamespace(add_scalar=add_scalar))
        return found

    def _run(self, batches: Sequence[Batch], *, log_every: int, writer: Any) -> None:
        args = SimpleNamespace(
            device=str(self._case.device),
            precision=_OPEN_CLIP_PRECISION[self._case.precision],
            batch_size=self._case.batch_size,
            grad_clip_norm=CLIP_NORM,
            log_every_n_steps=log_every,
            **{"accum_freq": 1, "distill": False, "skip_scheduler": False, "horovod": False},
            **{"rank": 0, "local_rank": 0, "world_size": 1, "wandb": False},
        )
        first, self._steps = self._steps, self._steps + len(batches)
        train_one_epoch(
            self._model,
            {"train": _Data(batches)},
            self._loss,
            0,
            self._optimizer,
            None,
            lambda step: self._schedule(first + step),
            None,
            args,
            tb_writer=writer,
        )


class _Data:
    """What `train_one_epoch` asks of data; its own class for it would need webdataset."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        self.dataloader = self
        self.num_batches = len(batches)
        self.num_samples = len(batches) * len(batches[0][0])
        self._batches = batches

    def set_epoch(self, epoch: int) -> None: ...

    def __iter__(self) -> Any:
        return iter(self._batches)


def _optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """As in open_clip_train/main.py."""

    def is_exempt(name: str, parameter: nn.Parameter) -> bool:
        marked = any(mark in name for mark in ("bn", "ln", "bias", "logit_scale"))
        return parameter.ndim < 2 or marked

    named = list(model.named_parameters())
    return torch.optim.AdamW(
        [
            {"params": [p for name, p in named if is_exempt(name, p)], "weight_decay": 0.0},
            {"params": [p for name, p in named if not is_exempt(name, p)]},
        ],
        lr=LEARNING_RATE,
        betas=BETAS,
        eps=EPS,
        weight_decay=WEIGHT_DECAY,
    )


def _as_open_clip(case: Case, network: nn.Module) -> tuple[nn.Module, nn.Module]:
    """Model and loss of open_clip's for `case`, with the weights of `network`."""
    if case.family == "mammut":
        return _Mammut(copy.deepcopy(network)), CoCaLoss(1.0, 1.0, cache_labels=True)
    if case.family not in ("clip", "siglip"):
        raise ValueError(f"no loop of open_clip's to compare {case.family} with")
    is_siglip = case.family == "siglip"
    content = open_clip_content(find_model(case.family, case.model))
    model = CLIP(**content, output_dict=True, init_logit_bias=-10.0 if is_siglip else None)
    model.load_state_dict(network.state_dict())
    loss = SigLipLoss() if is_siglip else ClipLoss(cache_labels=True)
    return model.to(case.device), loss


class _Mammut(nn.Module):
    """MaMMUT as the study's fork of open_clip trains it: all logits at once, padding included.

    open_clip itself has no MaMMUT. The fork's vocabulary logits in the contrastive pass, which it
    throws away, are left out.
    """

    def __init__(self, network: Any) -> None:
        super().__init__()
        network.trim_captions = False
        self.network = network
        self.logit_scale = network.logit_scale

    def forward(self, images: Tensor, tokens: Tensor) -> dict[str, Tensor]:
        pooled, image_tokens = self.network.visual(images)
        states = self.network._caption_states(image_tokens, tokens)
        return {
            "image_features": nn.functional.normalize(pooled, dim=-1),
            "text_features": self.network.encode_text(tokens),
            "logits": states @ self.network.text.text_projection,
            "labels": tokens[:, 1:],
            "logit_scale": self.network.logit_scale.exp(),
        }


def forward_gflops(case: Case) -> float:
    """Per sample, of the whole context, with attention's score products: the profile's `full`."""
    return FAMILIES.get(case.family).profile(case.model).full_gflops


class Difference(NamedTuple):
    """Between the losses of two loops, relative, over all steps."""

    mean: float
    largest: float


def difference(losses: Sequence[float], others: Sequence[float]) -> Difference:
    """How far `losses` are from `others`, step by step."""
    pairs = zip(losses, others, strict=True)
    found = [abs(one - other) / abs(other) for one, other in pairs]
    if not all(map(math.isfinite, found)):
        return Difference(math.inf, math.inf)
    return Difference(sum(found) / len(found), max(found))
