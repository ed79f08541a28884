"""Training on a part of each image's patches."""

import pytest
import torch
from small_batches import batch_of, network_of
from small_trials import trunk

from scaling.errors import ResourceError
from scaling.families import FAMILIES, Family
from scaling.train.gradients import Gradients
from scaling.train.patch_dropout import PatchDropout, drop_patches


@pytest.fixture(params=FAMILIES.names())
def family(request: pytest.FixtureRequest) -> Family:
    return FAMILIES.get(request.param)


def test_the_class_token_and_a_random_part_of_the_patches_stay() -> None:
    tokens = torch.arange(17.0).expand(64, 17)[..., None].repeat(1, 1, 3)

    kept = PatchDropout(0.5)(tokens)

    assert kept.shape == (64, 9, 3)
    assert (kept[:, 0] == 0).all()
    patches = kept[:, 1:, 0]
    assert all(len(row.unique()) == 8 and row.min() >= 1 for row in patches)
    assert len(patches.sort(dim=1).values.unique(dim=0)) > 32
    assert patches.unique().numel() == 16
    assert torch.equal(PatchDropout(0.5).eval()(tokens), tokens)


def test_it_computes_less_in_training_and_changes_nothing_in_evaluation(family: Family) -> None:
    plain, dropping = network_of(family), network_of(family)
    drop_patches(dropping, 0.5)
    images, tokens = batch_of(family)
    lengths = []
    block = dropping.visual.transformer.resblocks[0]
    block.register_forward_pre_hook(lambda _, inputs: lengths.append(inputs[0].shape[1]))

    dropping(images, tokens)
    assert lengths == [9]
    assert dropping.state_dict().keys() == plain.state_dict().keys()
    ours, theirs = dropping.eval()(images, tokens), plain.eval()(images, tokens)
    for name, expected in (theirs.features | theirs.sums).items():
        assert torch.equal((ours.features | ours.sums)[name], expected)


def test_both_passes_over_a_micro_batch_see_the_same_patches(family: Family) -> None:
    recipe = trunk().recipe
    parts = []
    for seed in (3, 3, 4):
        network = network_of(family)
        drop_patches(network, 0.5)
        torch.manual_seed(seed)
        terms = Gradients(family, recipe).backward(network, batch_of(family), 5)
        parts.append((terms, [p.grad for p in network.parameters()]))
    # A step along the gradient: for the same patches, the loss falls as the gradient says.
    network = network_of(family)
    drop_patches(network, 0.5)
    step = 1e-6
    gradient = parts[0][1]
    with torch.no_grad():
        for parameter, its in zip(network.parameters(), gradient, strict=True):
            if its is not None:
                parameter -= step * its
    torch.manual_seed(3)
    after = Gradients(family, recipe).backward(network, batch_of(family), 5)

    fall = sum(value.item() for value in parts[0][0].values()) - sum(
        v.item() for v in after.values()
    )
    expected = step * sum(its.square().sum().item() for its in gradient if its is not None)
    assert fall == pytest.approx(expected, rel=1e-3)
    assert parts[0][0] == parts[1][0] != parts[2][0]


def test_towers_of_timm_drop_patches_too_and_convolutions_are_refused() -> None:
    import timm

    class Holder(torch.nn.Module):
        def __init__(self, name: str, **how: object) -> None:
            super().__init__()
            self.visual = torch.nn.Module()
            self.visual.trunk = timm.create_model(name, **how)

    vit = Holder("vit_tiny_patch16_224", depth=1, img_size=64)
    drop_patches(vit, 0.5)
    lengths = []
    vit.visual.trunk.blocks[0].register_forward_pre_hook(
        lambda _, inputs: lengths.append(inputs[0].shape[1])
    )
    vit.visual.trunk(torch.randn(2, 3, 64, 64))
    assert lengths == [9]

    with pytest.raises(ResourceError, match="patch_dropout: ResNet is not a vision transformer"):
        drop_patches(Holder("resnet10t"), 0.5)
