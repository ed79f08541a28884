"""What is trained and what comes out of it: plain frozen data, free of torch, Ray and SQL.

A **trial** is one training run, of three kinds: a `Cosine` trial serves one cell; a `Trunk`
(constant learning rate) serves every samples-seen value of its row; a `Cooldown` branches off a
trunk's checkpoint and serves one. A trial's identity is a digest of every field that changes its
result, and of nothing else.
"""

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from scaling.schedule import COOLDOWN_SHAPES, cosine_factor, warmup_factor
from scaling.units import format_count

if TYPE_CHECKING:
    from scaling.evals._evaluation import Evaluation
    from scaling.storage import Remote

Precision = Literal["fp32", "bf16", "fp16"]
Sharding = Literal["ddp", "fsdp"]
Padding = Literal["attend", "mask"]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to train: everything but how long. Defaults never change: identities rest on them."""

    batch_size: int
    """Global batch, in samples."""
    learning_rate: float
    warmup_samples: int
    """Samples over which the learning rate rises linearly."""
    weight_decay: float = 0.2
    beta1: float = 0.9
    beta2: float = 0.95
    eps: float = 1e-6
    grad_clip: float | None = 1.0
    """Largest global norm of the gradient; None does not clip."""
    caption_loss_weight: float = 1.0
    """Weight of the captioning loss beside the contrastive loss (weight 1), where there is one."""
    precision: Precision = "bf16"
    """fp32; or autocast to bf16, or to fp16 with a loss scale. Weights, logits, losses: fp32."""
    optimizer: str = "adamw"
    """AdamW, or one of timm's optimizers by its name (`scaling.train.optimizer_names`)."""
    optimizer_options: Mapping[str, Any] | None = None
    """Keywords of timm's optimizer; `beta1`, `beta2` and `eps` above are AdamW's alone."""
    patch_dropout: float = 0.0
    """Fraction of image patches that training leaves out, drawn anew for each image and step."""
    pad: Padding = "attend"
    """Whether text features see padding, where the published network lets them: MaMMUT's and
    CoCa's do. `mask` hides it."""

    @cached_property
    def canonical(self) -> str:
        """Canonical JSON of what is not a default; trials with this recipe share the text."""
        return _canonical(_beyond_defaults(self))


@dataclass(frozen=True, kw_only=True)
class Data:
    """A training set: a kind of dataset and the options that define it."""

    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def canonical(self) -> str:
        """See `Recipe.canonical`."""
        return _canonical(_beyond_defaults(self))


@dataclass(frozen=True, kw_only=True)
class Trial:
    """The fields that all trials share; see `Cosine`, `Trunk` and `Cooldown`."""

    kind: ClassVar[str]

    family: str
    model: str
    data: Data
    recipe: Recipe
    seed: int = 0

    def learning_rate(self, samples_seen: int) -> float:
        """The learning rate of the step taken after `samples_seen` samples."""
        raise NotImplementedError

    @cached_property
    def id(self) -> str:
        """Readable prefix and digest, e.g. `clip-tiny-b-trunk-9f86d081884c`; names a folder."""
        name = _folder_name(self.family, self.model)
        return f"{name}-{self._label()}-{_digest(self._canonical_identity())}"

    def _label(self) -> str:
        return self.kind

    def identity(self) -> dict[str, Any]:
        """Every field that changes the result, as plain data; fields at their default are absent.

        Absence keeps identities stable when a field with a default is added.
        """
        fields = {}
        for spec in dataclasses.fields(self):
            value = getattr(self, spec.name)
            if isinstance(value, Trial):
                fields[spec.name] = value.identity()
            elif isinstance(value, Recipe | Data):
                fields[spec.name] = _beyond_defaults(value)
            else:
                fields[spec.name] = value
        return {"kind": self.kind, **fields}

    def _canonical_identity(self) -> str:
        """Canonical JSON of `identity`, put together from parts that a grid's trials share."""
        before, after = _own_names(self.kind)
        shared = _shared_part(
            self.kind, self.family, self.model, self.data.canonical, self.recipe.canonical
        )
        return f"{{{','.join([*self._written(before), shared, *self._written(after)])}}}"

    def _written(self, names: tuple[str, ...]) -> list[str]:
        return [
            f'"{name}":{value if type(value := getattr(self, name)) is int else _canonical(value)}'
            for name in names
        ]


@dataclass(frozen=True, kw_only=True)
class Cosine(Trial):
    """Warm-up, then half a cosine to zero at `samples_seen`: serves that one length."""

    kind: ClassVar[str] = "cosine"

    samples_seen: int

    def learning_rate(self, samples_seen: int) -> float:
        """See `Trial.learning_rate`."""
        warmup = self.recipe.warmup_samples
        factor = (
            warmup_factor(samples_seen, warmup, self.recipe.batch_size)
            if samples_seen < warmup
            else cosine_factor(samples_seen, warmup, self.samples_seen)
        )
        return self.recipe.learning_rate * factor

    def _label(self) -> str:
        return f"cosine-{format_count(self.samples_seen)}"


@dataclass(frozen=True, kw_only=True)
class Trunk(Trial):
    """Warm-up, then a constant learning rate for as long as anything branches off."""

    kind: ClassVar[str] = "trunk"

    def learning_rate(self, samples_seen: int) -> float:
        """See `Trial.learning_rate`."""
        recipe = self.recipe
        return recipe.learning_rate * warmup_factor(
            samples_seen, recipe.warmup_samples, recipe.batch_size
        )


@dataclass(frozen=True, kw_only=True)
class Cooldown(Trial):
    """Branch from a trunk's checkpoint and decay the learning rate to zero."""

    kind: ClassVar[str] = "cooldown"

    branch_point: int
    """Samples that the trunk has seen where this branches off."""
    samples_seen: int
    """Samples seen when the decay ends, counted from the start of the trunk."""
    shape: str = "linear"

    @cached_property
    def trunk(self) -> Trunk:
        """The trial that this branches off."""
        shared = {f.name: getattr(self, f.name) for f in dataclasses.fields(Trial)}
        return Trunk(**shared)

    @classmethod
    def off(
        cls, trunk: Trunk, *, branch_point: int, samples_seen: int, shape: str = "linear"
    ) -> "Cooldown":
        """The branch off `trunk`; all branches hold that one object, whose id is found once."""
        cooldown = cls(
            family=trunk.family,
            model=trunk.model,
            data=trunk.data,
            recipe=trunk.recipe,
            seed=trunk.seed,
            branch_point=branch_point,
            samples_seen=samples_seen,
            shape=shape,
        )
        cooldown.__dict__["trunk"] = trunk
        return cooldown

    def learning_rate(self, samples_seen: int) -> float:
        """Decay from the trunk's constant rate."""
        decay = COOLDOWN_SHAPES[self.shape]
        return self.recipe.learning_rate * decay(
            samples_seen, self.branch_point, self.samples_seen
        )

    def _label(self) -> str:
        return f"cooldown-{format_count(self.samples_seen)}"


TRIAL_KINDS: Mapping[str, type[Trial]] = {kind.kind: kind for kind in (Cosine, Trunk, Cooldown)}


def trial_from_identity(identity: Mapping[str, Any]) -> Trial:
    """The trial whose `Trial.identity` this is."""
    fields = dict(identity)
    kind = TRIAL_KINDS[fields.pop("kind")]
    fields["recipe"] = Recipe(**fields["recipe"])
    fields["data"] = Data(**fields["data"])
    return kind(**fields)


@dataclass(frozen=True, kw_only=True)
class Stop:
    """A number of samples seen at which a trial pauses, and what is done there."""

    samples_seen: int
    tasks: tuple[str, ...] = ()
    """Evaluation tasks to measure here."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Weights and optimizer after `samples_seen` samples: the position of data and randomness."""

    trial_id: str
    samples_seen: int
    path: Path
    sha256: str
    bytes: int
    forced: bool = False
    """Saved between two stops, because the attempt had to leave: kept only until it is passed."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One metric of one task at one checkpoint; `value` as the task reports it (a fraction)."""

    trial_id: str
    samples_seen: int
    task: str
    metric: str
    value: float
    epochs: float | None = None
    """Samples seen / different samples in the training set; None if that is endless or unknown."""
    evaluation_set: str | None = None
    """Identity of what it was measured on (`scaling.evaluation_sets`); None if unknown."""
    skipped_images: int | None = None
    """Pictures of it that did not decode and were left out; None if unknown."""


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """Training loss of the step that ended at `samples_seen` (kept at log-spaced samples)."""

    trial_id: str
    samples_seen: int
    loss: float


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a trial is right now; shown, never stored."""

    trial_id: str
    samples_seen: int
    loss: float
    samples_per_second: float
    phase: Literal["train", "evaluate", "save"] = "train"
    gpu_bytes: int = 0
    """Most memory that the process has held of its GPU so far; 0 without a GPU."""


@dataclass(frozen=True, kw_only=True)
class Note:
    """What an attempt did otherwise than asked, because the machine could not; kept with it."""

    trial_id: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Throughput:
    """How fast an attempt has trained so far; kept with it, for plans to come."""

    trial_id: str
    samples: int
    seconds: float
    """In training alone, without the first step of each stretch; times the processes that train
    the trial together, so that `samples / seconds` is the rate of one device."""


Event = Checkpoint | Measurement | CurvePoint | Progress | Note | Throughput
"""What a worker yields."""


@dataclass(frozen=True, kw_only=True)
class Execution:
    """How a trial is computed, as far as that changes speed and memory but not its result."""

    micro_batch_size: int | Literal["auto"] | None = None
    """Most rows that a process computes at once; None computes all of its rows, `auto` as many as
    fit: all of them, halved each time that a GPU's memory is exceeded."""
    gradient_checkpointing: bool = False
    """Compute activations of blocks again in the backward pass instead of keeping them."""
    compile: bool = False
    """Use `torch.compile`; where that fails, go on without it, and say so."""
    sharding: Sharding = "ddp"
    """Several processes hold a copy of the network each (ddp), or a part of it each (fsdp)."""

    def __str__(self) -> str:
        """The choices that are not the default, in words; empty if there are none."""
        rows = self.micro_batch_size
        words = {
            "micro-batches as large as fit"
            if rows == "auto"
            else f"micro-batches of {rows}": rows,
            "gradient checkpointing": self.gradient_checkpointing,
            "torch.compile": self.compile,
            "FSDP": self.sharding == "fsdp",
        }
        return ", ".join(word for word, is_chosen in words.items() if is_chosen)


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a worker is asked to do: bring `trial` to each of `stops`, from `checkpoints`."""

    trial: Trial
    stops: tuple[Stop, ...]
    """Ascending; each is reached, saved, and its tasks measured."""
    checkpoints: tuple[Checkpoint, ...]
    """Checkpoints to start from, ascending: this trial's own, or its trunk's branch point."""
    directory: Path
    """Where new checkpoints and the journal of this attempt go."""
    attempt: int = 1
    execution: Execution = Execution()
    fits: Mapping[str, int] = field(default_factory=dict)
    """Rows that fit into the memory of devices, by their names, where more did not."""
    stall_seconds: float | None = None
    """How long training may stand still; None if nobody watches."""
    deadline: float | None = None
    """When to save and stop, in seconds since the epoch."""
    evaluation: "Evaluation | None" = None
    """What the tasks of stops are; None for tasks of the catalogue that need no data."""
    storage: "Remote | None" = None
    """Where `checkpoints` are, and what is found goes, if `directory` is on one machine's disk."""

    @property
    def stop_file(self) -> Path:
        """Once this file is there, somebody wants the attempt to save and stop."""
        return self.directory / f"stop-{self.attempt}"


def digest(identity: Mapping[str, Any]) -> str:
    """Twelve hexadecimal digits of the SHA-256 of canonical JSON."""
    return _digest(_canonical(identity))


_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode


def _digest(canonical: str) -> str:
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


@cache
def _own_names(kind: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The keys of an identity before and after those of `_shared_part`, in canonical order."""
    names = sorted(spec.name for spec in dataclasses.fields(TRIAL_KINDS[kind]))
    return (
        tuple(name for name in names if name < "data"),
        tuple(name for name in names if name > "recipe"),
    )


@cache
def _shared_part(kind: str, family: str, model: str, data: str, recipe: str) -> str:
    """The middle of the canonical identity; `data` and `recipe` are canonical already."""
    return (
        f'"data":{data},"family":{_canonical(family)},"kind":"{kind}",'
        f'"model":{_canonical(model)},"recipe":{recipe}'
    )


@cache
def _folder_name(family: str, model: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", f"{family}-{model}")


def _beyond_defaults(value: Recipe | Data) -> dict[str, Any]:
    return {
        spec.name: getattr(value, spec.name)
        for spec in dataclasses.fields(value)
        if spec.default is dataclasses.MISSING or getattr(value, spec.name) != spec.default
    }
