"""What training a model occupies: in the memory of each device, and on the disk.

States are 16 bytes a parameter: weights, gradients and Adam's two moments in fp32; FSDP shares
them among processes. Activations are what the backward pass of transformer blocks keeps. Per token
and unit of width, counted tensor by tensor (as Korthikanti et al. 2022, arXiv:2205.05198, section
4, do for 16 bits throughout), under autocast, and in fp32:

| kept | autocast | fp32 |
| --- | --- | --- |
| inputs of two norms (the residual stream, fp32) | 8 | 8 |
| inputs of the attention's and the MLP's first layer | 4 | 8 |
| queries, keys, values | 6 | 12 |
| input of the attention's last layer | 2 | 4 |
| inputs of GELU and of the MLP's last layer, 4 widths each | 16 | 32 |
| together | 36 | 64 |

A token of a block costs 24 width^2 FLOPs forward, so a tower's FLOPs tell its tokens times blocks,
however often its family runs it; heads and cross-attention count as blocks would. Scores of
attention are not kept (fused kernels). The allocator's fragments, the CUDA context (about 0.5 GiB)
and the loss come on top.
"""

from dataclasses import dataclass

from scaling.families import Profile
from scaling.families._towers import ModelConfig, ViTConfig
from scaling.trial import Execution, Recipe

STATE_BYTES = 16
SAVED_BYTES = 12
"""Of a parameter in a checkpoint: weights and Adam's two moments."""
_BLOCK_BYTES = {"bf16": 36, "fp16": 36, "fp32": 64}
_INPUT_BYTES = 4
"""Of what gradient checkpointing keeps of a block: its input in fp32."""
_FLOPS_PER_TOKEN = 24
"""Of a block, over width squared: 8 in attention's four layers, 16 in the MLP's two."""


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Bytes that training occupies on one device."""

    states: float
    activations: float | None
    """None for networks other than our transformers, whose blocks are not known here."""
    rows: int
    """Samples that are computed at once."""

    @property
    def total(self) -> float:
        """What is known of it together."""
        return self.states + (self.activations or 0.0)


def memory(
    config: ModelConfig,
    profile: Profile,
    *,
    recipe: Recipe,
    execution: Execution,
    processes: int = 1,
) -> Memory:
    """What each of `processes` occupies that train a model together."""
    rows = -(-recipe.batch_size // processes)
    if isinstance(execution.micro_batch_size, int):
        rows = min(rows, execution.micro_batch_size)
    per_sample = activation_bytes(config, profile, recipe.precision, execution)
    return Memory(
        states=STATE_BYTES * profile.params / (processes if execution.sharding == "fsdp" else 1),
        activations=None if per_sample is None else rows * per_sample,
        rows=rows,
    )


def activation_bytes(
    config: ModelConfig, profile: Profile, precision: str, execution: Execution
) -> float | None:
    """Bytes that the backward pass needs of one sample; None where blocks are not known."""
    if not isinstance(config, ViTConfig):
        return None
    vision, text = config.vision_width, config.text_width
    image_tokens = config.image_tokens * config.vision_layers
    image_flops = _FLOPS_PER_TOKEN * image_tokens * vision**2
    text_flops = max(0.0, profile.lean_gflops * 1e9 - image_flops)
    text_tokens = text_flops / (_FLOPS_PER_TOKEN * text**2)
    widths = image_tokens * vision + text_tokens * text
    if not execution.gradient_checkpointing:
        return _BLOCK_BYTES[precision] * widths
    largest = max(config.image_tokens * vision, config.context_length * text)
    return _INPUT_BYTES * widths + _BLOCK_BYTES[precision] * largest
