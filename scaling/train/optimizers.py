"""Optimizers: torch's fused AdamW, and timm's by name; what they decay, and when they step."""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from scaling.trial import Recipe

_NOT_DECAYED = ("bn", "ln", "bias", "logit_scale")
"""In a parameter's name, as in open_clip's training code (open_clip_train/main.py)."""

_MUONS = ("muon", "nmuon", "adamuon", "nadamuon")
_IN_A_BLOCK = re.compile(r"\b(blocks|resblocks|cross_attn)\.\d+\.")


def optimizer_for(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The optimizer that `recipe` names, over the parameters of `network` that are trained.

    AdamW is torch's fused one with the recipe's betas and epsilon; the others are timm's, with
    timm's defaults where `optimizer_options` says nothing. The learning rate and the weight decay
    are the recipe's for all of them.
    """
    groups = _groups(network, recipe)
    if recipe.optimizer != "adamw":
        return _of_timm(groups, recipe.optimizer, recipe.optimizer_options or {})
    return torch.optim.AdamW(
        groups,
        lr=recipe.learning_rate,
        betas=(recipe.beta1, recipe.beta2),
        eps=recipe.eps,
        fused=True,
    )


def step_if(finite: Tensor, optimizer: torch.optim.Optimizer) -> None:
    """One step of `optimizer` if `finite` () is true; else nothing changes, its state included.

    AdamW decides on the device, by the contract of fused optimizers with torch's `GradScaler`.
    For others the decision is read, as `GradScaler.step` reads it, which waits for a GPU.
    """
    if isinstance(optimizer, torch.optim.AdamW) and optimizer.defaults["fused"]:
        # 1 leaves everything as it is.
        on_device: Any = optimizer
        on_device.grad_scale, on_device.found_inf = None, (~finite).float()
        optimizer.step()
    elif finite.item():
        optimizer.step()


def check_options(name: str, options: Mapping[str, Any]) -> None:
    """Raise `ValueError` if timm's optimizer `name` does not take `options`, by trying a step."""
    from timm.optim import get_optimizer_info  # type: ignore[attr-defined]

    known = get_optimizer_info(name)
    # timm's factory drops these two where they mean nothing.
    ignored = {"eps": not known.has_eps, "betas": not known.has_betas}
    weight = nn.Parameter(torch.ones(2, 2))
    weight.grad = torch.ones_like(weight)
    try:
        if dropped := [option for option in options if ignored.get(option)]:
            raise TypeError(f"it has no {dropped[0]!r}")
        _of_timm([{"params": [weight]}], name, options).step()
    except Exception as error:  # whatever an optimizer makes of what a user wrote
        raise ValueError(f"optimizer_options: not options of {name}: {error}") from error


def _of_timm(
    groups: list[dict[str, Any]], name: str, options: Mapping[str, Any]
) -> torch.optim.Optimizer:
    from timm.optim import create_optimizer_v2  # type: ignore[attr-defined]

    # A learning rate must be given, or some choose their own; the schedule sets it each step.
    optimizer: torch.optim.Optimizer = create_optimizer_v2(groups, name, lr=1e-3, **options)
    return optimizer


def _groups(network: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """Parameters without decay, then those with it; for Muon, matrices of blocks apart.

    No decay for vectors and scalars, nor for what has 'bn', 'ln', 'bias' or 'logit_scale' in its
    name. Muon is for the matrices of hidden layers; embeddings, projections and the vocabulary's
    head are left to the AdamW in it, as its authors advise (Jordan et al. 2024,
    https://kellerjordan.github.io/posts/muon).
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {(False, False): [], (True, False): []}
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        decayed = parameter.ndim >= 2 and not any(mark in name for mark in _NOT_DECAYED)
        by_muon = decayed and recipe.optimizer in _MUONS and bool(_IN_A_BLOCK.search(name))
        groups.setdefault((decayed, by_muon), []).append(parameter)
    return [
        {
            "params": parameters,
            "weight_decay": recipe.weight_decay if decayed else 0.0,
            **({"use_muon": by_muon} if recipe.optimizer in _MUONS else {}),
        }
        for (decayed, by_muon), parameters in groups.items()
    ]
