from contextlib import nullcontext

import pytest
import torch

from scaling.families import FAMILIES
from scaling.planning.memory import activation_bytes, memory
from scaling.trial import Execution, Recipe

RECIPE = Recipe(batch_size=64, learning_rate=1e-3, warmup_samples=0, precision="fp32")
CLIP = FAMILIES.get("clip")


def kept_bytes(family: str, model: str, rows: int, precision: str) -> int:
    """What autograd keeps for the backward pass, each storage once, without the weights."""
    its = FAMILIES.get(family)
    network, config = its.build(model), its.models[model]
    network.trim_captions = False  # type: ignore[assignment]
    own = {p.untyped_storage().data_ptr() for p in network.parameters()}
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own and tensor.is_floating_point():
            kept[storage.data_ptr()] = storage
        return tensor

    images = torch.randn(rows, 3, config.image_size, config.image_size)
    tokens = torch.randint(1, config.vocab_size, (rows, config.context_length))
    cast = torch.autocast("cpu", torch.bfloat16) if precision == "bf16" else nullcontext()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), cast:
        outputs = network(images, tokens)
    assert outputs
    return sum(storage.nbytes() for storage in kept.values())


@pytest.mark.parametrize("family", ["clip", "mammut"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_activations_are_about_what_autograd_keeps(family: str, precision: str) -> None:
    its, rows, model = FAMILIES.get(family), 8, "tiny-e"

    # The difference leaves out what does not grow with the batch: casts of the weights.
    kept = kept_bytes(family, model, 2 * rows, precision) - kept_bytes(
        family, model, rows, precision
    )
    stated = activation_bytes(its.models[model], its.profile(model), precision, Execution())

    assert stated is not None
    assert stated * rows == pytest.approx(kept, rel=0.35)


def test_states_are_16_bytes_a_parameter_and_fsdp_shares_them() -> None:
    profile, config = CLIP.profile("tiny-c"), CLIP.models["tiny-c"]
    alone = memory(config, profile, recipe=RECIPE, execution=Execution())
    sharded = Execution(sharding="fsdp", micro_batch_size=8)
    shared = memory(config, profile, recipe=RECIPE, execution=sharded, processes=4)

    assert alone.states == 16 * profile.params
    assert shared.states == alone.states / 4
    assert (alone.rows, shared.rows) == (64, 8)
    assert alone.activations == 8 * (shared.activations or 0)


def test_gradient_checkpointing_keeps_less() -> None:
    profile, config = CLIP.profile("ViT-B-32"), CLIP.models["ViT-B-32"]
    kept = activation_bytes(config, profile, "bf16", Execution())
    less = activation_bytes(config, profile, "bf16", Execution(gradient_checkpointing=True))

    assert kept is not None
    assert less is not None
    assert less < kept / 4
