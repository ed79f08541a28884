import json
from pathlib import Path

import open_clip
import pytest
import torch
from torch import nn
from torch.nn.functional import interpolate

from scaling.errors import ScalingError
from scaling.families import FAMILIES
from scaling.families._patches import copied_tower, patch_features, side_of
from scaling.train.blocks import Blocks
from scaling.train.patch_dropout import drop_patches
from scaling.train.precision import computing_in


@pytest.fixture(params=FAMILIES.names())
def network(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(0)
    return FAMILIES.get(request.param).build("tiny-b").eval()


IMAGES = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("family", FAMILIES.names())
def test_every_family_gives_patches(family: str) -> None:
    assert "patches" in FAMILIES.get(family).abilities


@torch.inference_mode()
def test_features_are_of_patches_row_after_row(network: nn.Module) -> None:
    features = network.encode_patches(IMAGES)

    assert features.shape == (3, 16, 32)
    # Without attention between patches, a change of one patch would stay there; with it, the patch
    # that changes most is the one whose pixels did.
    changed = IMAGES.clone()
    changed[:, :, 4:8, 8:12] += 2
    differences = (network.encode_patches(changed) - features).norm(dim=2)
    assert differences.argmax(dim=1).tolist() == [1 * 4 + 2] * 3


@torch.inference_mode()
def test_clips_patches_are_what_open_clip_calls_tokens() -> None:
    theirs = open_clip.model.CLIP(
        32,
        {"image_size": 16, "patch_size": 4, "width": 32, "layers": 2, "head_width": 16},
        {"context_length": 16, "vocab_size": 60, "width": 32, "heads": 2, "layers": 2},
    ).eval()
    theirs.visual.output_tokens = True

    torch.testing.assert_close(patch_features(theirs.visual, IMAGES), theirs.visual(IMAGES)[1])


@torch.inference_mode()
def test_mammuts_norm_is_applied_to_each_patch() -> None:
    network = FAMILIES.get("mammut").build("tiny-a").eval()

    tokens = network.visual(IMAGES)[1][:, 1:]

    torch.testing.assert_close(network.encode_patches(IMAGES), network.visual.ln_post(tokens))


@torch.inference_mode()
def test_cocas_patches_are_not_those_that_attention_pooled() -> None:
    network = FAMILIES.get("coca").build("tiny-b").eval()
    tower = network.visual

    before_pooling = tower.transformer(tower._embeds(IMAGES))[:, 1:]

    torch.testing.assert_close(network.encode_patches(IMAGES), before_pooling)


@torch.inference_mode()
def test_a_copy_of_the_same_sizes_computes_the_same(network: nn.Module) -> None:
    copied = copied_tower(network.visual)

    assert torch.equal(patch_features(copied, IMAGES), network.encode_patches(IMAGES))
    assert all(parameter.requires_grad for parameter in copied.parameters())
    assert not any(parameter.is_inference() for parameter in copied.parameters())


@torch.inference_mode()
def test_larger_patches_see_in_a_larger_picture_what_was_there(network: nn.Module) -> None:
    """FlexiViT's resampling: exact for pictures enlarged by the same interpolation."""
    larger = copied_tower(network.visual, 32, 8)
    enlarged = interpolate(IMAGES, (32, 32), mode="bicubic", antialias=True)

    def embedded(tower: nn.Module, images: torch.Tensor) -> torch.Tensor:
        return tower.conv1(images)  # type: ignore[no-any-return,operator]

    here, there = embedded(network.visual, IMAGES), embedded(larger, enlarged)

    # Not to the last digit: at edges of patches interpolation looks at neighbours.
    assert torch.corrcoef(torch.stack([here.flatten(), there.flatten()]))[0, 1] > 0.95
    assert torch.equal(larger.positional_embedding, network.visual.positional_embedding)


@torch.inference_mode()
def test_smaller_patches_make_a_finer_grid(network: nn.Module) -> None:
    finer = copied_tower(network.visual, 32, 4)

    assert patch_features(finer, torch.zeros(1, 3, 32, 32)).shape == (1, 64, 32)
    assert finer.grid_size == (8, 8)
    class_positions = (tower.positional_embedding[0] for tower in (finer, network.visual))
    assert torch.equal(*class_positions)


def test_a_copy_forgets_what_training_put_into_the_tower() -> None:
    network = FAMILIES.get("clip").build("tiny-b")
    drop_patches(network, 0.5)
    context = lambda: computing_in("fp32", torch.device("cpu"))  # noqa: E731
    Blocks(network, compiled=True, recomputed=True, precision=context)

    copied = copied_tower(network.visual).train()
    patch_features(copied, IMAGES).sum().backward()

    assert patch_features(copied, IMAGES).shape[1] == 16
    assert copied.conv1.weight.grad is not None
    assert all(
        block.attn.in_proj_weight.grad is not None for block in copied.transformer.resblocks
    )
    assert all(parameter.grad is None for parameter in network.parameters())


@torch.inference_mode()
def test_networks_of_open_clips_json_give_patches(tmp_path: Path) -> None:
    content = {
        "embed_dim": 32,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16},
        "text_cfg": {"width": 32, "heads": 2, "layers": 1},
    }
    path = tmp_path / "small.json"
    path.write_text(json.dumps(content))
    for family in ("clip", "siglip"):
        network = FAMILIES.get(family).build(str(path)).eval()
        assert network.encode_patches(torch.zeros(2, 3, 32, 32)).shape == (2, 4, 64)


@torch.inference_mode()
def test_timms_vision_transformers_give_patches_and_can_be_resampled() -> None:
    network = FAMILIES.get("clip").build("timm:vit_tiny_patch16_224").eval()
    images = torch.zeros(1, 3, 224, 224)

    assert network.encode_patches(images).shape == (1, 14 * 14, 192)
    assert patch_features(copied_tower(network.visual, 224, 14), images).shape == (1, 16 * 16, 192)


@torch.inference_mode()
def test_towers_without_patches_are_refused() -> None:
    network = FAMILIES.get("clip").build("timm:convnext_atto").eval()

    with pytest.raises(ScalingError, match="ConvNeXt: this image tower gives no features"):
        network.encode_patches(torch.zeros(1, 3, 64, 64))


def test_pictures_that_are_not_whole_patches_are_refused() -> None:
    network = FAMILIES.get("clip").build("tiny-a")

    with pytest.raises(ScalingError, match="16 pixels are not whole patches of 5"):
        copied_tower(network.visual, 16, 5)
    with pytest.raises(ScalingError, match="15 tokens"):
        side_of(15)
