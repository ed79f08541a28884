import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from open_clip.model import CLIPTextCfg, CLIPVisionCfg

from scaling.errors import ScalingError
from scaling.families import FAMILIES, find_model
from scaling.families._open_clip import OpenClipConfig, OpenModels, canonical_name
from scaling.families._open_clip_coca import coca_content
from scaling.families._towers import COCA, TINY
from scaling.families.clip.network import open_clip_content
from scaling.train.gradients import Batch, Gradients
from scaling.trial import Recipe

CLIP, SIGLIP = FAMILIES.get("clip"), FAMILIES.get("siglip")
RECIPE = Recipe(batch_size=4, learning_rate=1e-3, warmup_samples=4, precision="fp32")
SMALL: dict[str, Any] = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 16, "patch_size": 4, "width": 32, "layers": 2, "head_width": 16},
    "text_cfg": {"context_length": 16, "width": 32, "heads": 2, "layers": 2},
}


def written(path: Path, content: object) -> str:
    path.write_text(json.dumps(content))
    return str(path)


def changed(section: str | None = None, **keys: object) -> dict[str, Any]:
    """`SMALL` with other values in one section."""
    content: dict[str, Any] = json.loads(json.dumps(SMALL))
    (content[section] if section else content).update(keys)
    return content


@pytest.mark.parametrize("model", sorted(set(CLIP.models) & set(open_clip.list_models())))
def test_a_size_is_the_configuration_that_open_clip_ships_under_its_name(model: str) -> None:
    ours, theirs = open_clip_content(CLIP.models[model]), open_clip.get_model_config(model)

    assert ours["embed_dim"] == theirs["embed_dim"]
    assert ours["vision_cfg"] == dataclasses.asdict(CLIPVisionCfg(**theirs["vision_cfg"]))
    assert ours["text_cfg"] == dataclasses.asdict(CLIPTextCfg(**theirs["text_cfg"]))


@pytest.mark.parametrize("family", ["clip", "siglip"])
def test_counting_a_network_gives_what_its_closed_form_gives(family: str) -> None:
    counted = FAMILIES.get(family).profile("open_clip:ViT-S-32-alt")

    assert counted == FAMILIES.get(family).profile("ViT-S-32-alt")


@pytest.mark.parametrize("model", ["RN50", "ViT-B-16-quickgelu", "MobileCLIP-B"])
def test_the_network_of_a_shipped_configuration_is_open_clips(model: str) -> None:
    with torch.device("meta"):
        ours = CLIP.build(f"open_clip:{model}").state_dict()
        config = open_clip.get_model_config(model)
        custom_text = config.pop("custom_text", False)
        theirs = (open_clip.CustomTextCLIP if custom_text else open_clip.CLIP)(**config)

    assert {k: v.shape for k, v in ours.items()} == {
        k: v.shape for k, v in theirs.state_dict().items()
    }
    assert CLIP.profile(f"open_clip:{model}").params == sum(p.numel() for p in theirs.parameters())


@pytest.mark.parametrize("family", ["clip", "siglip"])
@pytest.mark.parametrize(
    "vision",
    [
        SMALL["vision_cfg"],
        {"image_size": 32, "layers": [1, 1, 1, 1], "width": 8, "head_width": 32},
        {"image_size": 96, "timm_model_name": "test_convnext", "timm_pool": ""},
    ],
    ids=["vit", "resnet", "timm"],
)
def test_a_network_from_a_file_trains(family: str, vision: dict[str, Any], tmp_path: Path) -> None:
    model = written(tmp_path / "small.json", {**SMALL, "vision_cfg": vision})
    its = FAMILIES.get(family)
    config, network = its.models[model], its.build(model)
    images = torch.randn(4, 3, config.image_size, config.image_size)
    tokens = torch.randint(1, config.vocab_size, (4, config.context_length))

    features = network.encode_image(images)
    Gradients(its, RECIPE).backward(network, Batch(images, tokens))

    torch.testing.assert_close(features.norm(dim=-1), torch.ones(4))
    assert [name for name, p in network.named_parameters() if p.grad is None] == []
    profile = its.profile(model)
    assert profile.params == sum(p.numel() for p in network.parameters())
    assert 0 < profile.lean_gflops < profile.full_gflops


def test_an_image_tower_of_timm_stands_beside_the_text_tower_of_b_32() -> None:
    config = CLIP.models["timm:test_vit"]
    profile = CLIP.profile("timm:test_vit")

    assert config.image_size == 160
    assert profile.text_params == CLIP.profile("ViT-B-32").text_params
    assert profile.image_params > 0


def test_the_contents_of_a_file_are_part_of_its_name(tmp_path: Path) -> None:
    model = written(tmp_path / "small.json", SMALL)
    planned = canonical_name(model)
    assert CLIP.models[planned] == CLIP.models[model]

    written(tmp_path / "small.json", changed("vision_cfg", layers=3))

    assert canonical_name(model) != planned
    with pytest.raises(ScalingError, match="has changed since this trial was planned"):
        find_model("clip", planned)


def test_the_order_of_keys_in_a_file_does_not_matter(tmp_path: Path) -> None:
    one = written(tmp_path / "one.json", SMALL)
    other = written(tmp_path / "other.json", dict(reversed(SMALL.items())))

    assert canonical_name(one).split("#")[1] == canonical_name(other).split("#")[1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "is not a configuration of open_clip"),
        ({"embed_dim": 3}, "needs embed_dim, a number, and vision_cfg and text_cfg"),
        (changed("text_cfg", vocab_size=99), "text_cfg.vocab_size: 99 is less than the 49408"),
        (changed("vision_cfg", image_size=[16, 32]), "[16, 32] is not square"),
        (changed("text_cfg", hf_tokenizer_name="x"), "the Hugging Face tokenizer 'x'"),
        (changed(multimodal_cfg={}), "is no model of clip: it has a captioner"),
        (changed("vision_cfg", widht=3), "vision_cfg: unknown key 'widht'; did you mean 'width'?"),
        (changed(quick_gelo=True), "unknown key 'quick_gelo'; did you mean 'quick_gelu'?"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_message(
    content: object, message: str, tmp_path: Path
) -> None:
    model = written(tmp_path / "bad.json", content)

    with pytest.raises(ScalingError) as error:
        CLIP.profile(model)

    assert message in str(error.value)
    assert "bad.json" in str(error.value)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("ViT-B-16-quickgelu", "did you mean 'open_clip:ViT-B-16-quickgelu'?"),
        ("open_clip:ViT-B-17", "unknown configuration of open_clip 'ViT-B-17'; did you mean"),
        ("timm:vit_smal_patch16_224", "did you mean 'vit_small_patch16_224'?"),
        ("nowhere.json", "nowhere.json: cannot be read: No such file"),
    ],
)
def test_unknown_names_get_the_nearest(model: str, message: str) -> None:
    with pytest.raises(ScalingError) as error:
        find_model("clip", model)

    assert message in str(error.value)
    assert model not in CLIP.models


def test_shipped_configurations_are_found_without_torch() -> None:
    program = (
        "import sys; from scaling.families import find_model\n"
        "assert find_model('clip', 'open_clip:RN50').image_size == 224\n"
        "assert 'torch' not in sys.modules and 'open_clip' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_configuration_of_open_clip_is_plain_data() -> None:
    config = CLIP.models["open_clip:RN50"]

    assert isinstance(config, OpenClipConfig)
    assert hash(config) == hash(CLIP.models["open_clip:RN50"])
    assert config.content == open_clip.get_model_config("RN50")


COCAS = OpenModels("coca", COCA, has_captioner=True)


@pytest.mark.parametrize("size", ["ViT-B-32", "ViT-L-14"])
def test_the_sizes_of_coca_are_the_configurations_that_open_clip_ships(size: str) -> None:
    assert COCAS[f"open_clip:coca_{size}"] == COCA[size]


@pytest.mark.parametrize("size", [size for size in COCA if size not in TINY])
def test_a_size_of_coca_is_read_back_from_open_clips_format(size: str, tmp_path: Path) -> None:
    config = COCA[size]
    content = {"embed_dim": config.embed_dim, **coca_content(config), "custom_text": True}

    assert COCAS[written(tmp_path / "coca.json", content)] == config


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("open_clip:coca_base", "vision_cfg.attentional_pool: False is not supported, only True"),
        ("open_clip:coca_roberta-ViT-B-32", "the Hugging Face tokenizer 'roberta-base'"),
        ("open_clip:RN50", "is no model of coca: it has no captioner"),
    ],
)
def test_what_coca_cannot_be_is_said(model: str, message: str) -> None:
    with pytest.raises(ScalingError) as error:
        COCAS[model]

    assert message in str(error.value)
