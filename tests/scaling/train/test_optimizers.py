"""Every optimizer that a recipe may name: its groups, its steps, its state."""

import copy
import io

import pytest
import torch
from small_trials import trunk
from timm.optim import list_optimizers
from torch import nn

from scaling.families import FAMILIES
from scaling.train.optimizer_names import OPTIMIZERS
from scaling.train.optimizers import check_options, optimizer_for, step_if

YES, NO = torch.tensor(True), torch.tensor(False)


def small_network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 4), nn.LayerNorm(4), nn.Linear(4, 3))


def take_steps(network: nn.Module, optimizer: torch.optim.Optimizer, *seeds: int) -> None:
    for seed in seeds:
        inputs = torch.randn(8, 6, generator=torch.Generator().manual_seed(seed))
        optimizer.zero_grad()
        network(inputs).square().mean().backward()
        step_if(YES, optimizer)


def weights_of(network: nn.Module) -> torch.Tensor:
    return nn.utils.parameters_to_vector(network.parameters()).detach().clone()


def test_the_known_names_are_those_of_timm() -> None:
    of_others = ["bnb*", "fused*", "adahessian", "kron*"]
    assert set(list_optimizers(exclude_filters=of_others)) == OPTIMIZERS


def test_vectors_norms_and_biases_are_not_decayed() -> None:
    network = FAMILIES.get("mammut").build("tiny-a")
    names = {id(p): name for name, p in network.named_parameters()}

    exempt, decayed = optimizer_for(network, trunk().recipe).param_groups

    assert (exempt["weight_decay"], decayed["weight_decay"]) == (0.0, 0.2)
    decayed_names = {names[id(p)] for p in decayed["params"]}
    assert {
        "map_viz2txt_kv",
        "text.positional_embedding",
        "text.text_projection",
        "text.token_embedding.weight",
        "visual.conv1.weight",
        "visual.proj",
    } <= decayed_names
    assert not any("ln_" in name or "bias" in name for name in decayed_names)
    assert len(exempt["params"]) + len(decayed["params"]) == len(names)


def test_muon_gets_the_matrices_of_blocks_and_nothing_else() -> None:
    network = FAMILIES.get("mammut").build("tiny-a")
    names = {id(p): name for name, p in network.named_parameters()}

    groups = optimizer_for(network, trunk(optimizer="muon").recipe).param_groups

    (muon,) = [group for group in groups if group["use_muon"]]
    its = {names[id(p)] for p in muon["params"]}
    assert {
        "visual.transformer.resblocks.0.attn.in_proj_weight",
        "text.cross_attn.0.mlp.c_fc.weight",
    } <= its
    assert all(p.ndim == 2 for p in muon["params"])
    assert not {name for name in its if "embedding" in name or "projection" in name}
    assert sum(len(group["params"]) for group in groups) == len(names)


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_its_state_survives_a_file_and_a_skipped_step(name: str) -> None:
    recipe = trunk(optimizer=name, learning_rate=1e-3).recipe
    network = small_network()
    optimizer = optimizer_for(network, recipe)
    take_steps(network, optimizer, 1, 2, 3)
    before = copy.deepcopy(optimizer.state_dict())
    resumed = copy.deepcopy(network)
    weights = weights_of(network)

    for parameter in network.parameters():
        parameter.grad.fill_(torch.nan)
    step_if(NO, optimizer)
    assert torch.equal(weights_of(network), weights)

    file = io.BytesIO()
    torch.save(before, file)
    file.seek(0)
    other = optimizer_for(resumed, recipe)
    other.load_state_dict(torch.load(file, weights_only=True))
    take_steps(network, optimizer, 4, 5)
    take_steps(resumed, other, 4, 5)
    assert not torch.equal(weights_of(network), weights)
    assert torch.equal(weights_of(network), weights_of(resumed))


def test_options_reach_the_optimizer() -> None:
    recipe = trunk(optimizer="lion", optimizer_options={"betas": [0.8, 0.9]}).recipe

    assert list(optimizer_for(small_network(), recipe).defaults["betas"]) == [0.8, 0.9]


@pytest.mark.parametrize(
    ("name", "options", "problem"),
    [
        ("lion", {"momentun": 1.0}, "momentun"),
        ("lion", {"eps": 1e-8}, "it has no 'eps'"),
        ("sgd", {"betas": [0.9, 0.9]}, "it has no 'betas'"),
        ("adan", {"betas": [0.9]}, "not options of adan"),
    ],
)
def test_options_that_it_does_not_take_are_refused(
    name: str, options: dict[str, object], problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        check_options(name, options)
