"""Parameters and forward FLOPs of a network that has no closed form: built and counted."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from scaling.families import Profile

if TYPE_CHECKING:
    from torch import nn

    from scaling.families._towers import ModelConfig

_SAMPLES = 2
"""What is counted; batch normalisation refuses a single one."""


def measured_profile(
    build: "Callable[[], nn.Module]", config: "ModelConfig", *, text_runs_twice: bool = False
) -> Profile:
    """The profile of what `build` builds, counted by torch on its meta device, without weights.

    Products of two activations are batched matrix products ('bmm'), which in these networks are
    attention's scores; `full_gflops` has them and the others have not. `text_runs_twice`: the
    reference code runs CoCa's text tower twice, and `published_gflops` counts both passes.
    """
    import torch

    with torch.device("meta"):
        network = build()
        images = torch.empty(_SAMPLES, 3, config.image_size, config.image_size)
        tokens = torch.zeros(_SAMPLES, config.context_length, dtype=torch.long)
    # In training mode: else attention takes a fused path that is not counted.
    network.train()
    network.trim_captions = False  # type: ignore[assignment]
    weights, scores = _flops(lambda: network(images, tokens))
    wasted = _flops(lambda: network.encode_text(tokens))[0] if text_runs_twice else 0  # type: ignore[operator]
    params = {name: p.numel() for name, p in network.named_parameters()}
    image_params = sum(n for name, n in params.items() if name.startswith("visual."))
    others = ("visual.", "logit_scale", "logit_bias", "text_decoder.")
    return Profile(
        params=sum(params.values()),
        image_params=image_params,
        text_params=sum(n for name, n in params.items() if not name.startswith(others)),
        published_gflops=(weights + wasted) / 1e9,
        lean_gflops=weights / 1e9,
        full_gflops=(weights + scores) / 1e9,
    )


def _flops(run: Callable[[], object]) -> tuple[float, float]:
    """FLOPs of `run` per sample: of weights, and of attention's scores."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    # Without gradients, some of which captioning computes on its way forward.
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        run()
    counts = counter.get_flop_counts()["Global"]
    scores = sum(n for operator, n in counts.items() if _is_attention(str(operator)))
    return (sum(counts.values()) - scores) / _SAMPLES, scores / _SAMPLES


def _is_attention(operator: str) -> bool:
    return "bmm" in operator or "attention" in operator
