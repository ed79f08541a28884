import json
from pathlib import Path

import open_clip
import pytest
import torch

from scaling.families import FAMILIES, find_model
from scaling.trial import Recipe
from scaling.weights.open_clip import open_clip_configuration, open_clip_name

MODELS = [
    *((family, "tiny-a") for family in FAMILIES.names()),
    ("clip", "ViT-M-16-alt"),
    ("siglip", "ViT-B-16-text-plus"),
    ("clip", "open_clip:ViT-B-32-quickgelu"),
    ("clip", "open_clip:RN50"),
    ("siglip", "timm:test_vit"),
    ("coca", "ViT-B-16"),
    ("coca", "open_clip:coca_ViT-B-32"),
]
OF_THEIR_OWN = {"mammut", "cap"}
"""Families whose networks open_clip does not have."""


@pytest.mark.parametrize(("family", "model"), MODELS, ids=str)
def test_open_clip_builds_the_same_network_from_what_is_written_for_it(
    family: str, model: str, tmp_path: Path
) -> None:
    with torch.device("meta"):
        ours = FAMILIES.get(family).build(model)
    scalars = {"logit_bias": torch.tensor(-9.0)} if family == "siglip" else {}

    configuration = open_clip_configuration(find_model(family, model), ours, scalars)

    if family in OF_THEIR_OWN:
        assert configuration is None
        return
    path = tmp_path / f"written-{open_clip_name(family, model)}.json"
    path.write_text(json.dumps(configuration))
    open_clip.add_model_config(path)
    with torch.device("meta"):
        theirs = open_clip.create_model(path.stem, device="meta")
    assert shapes(ours) == shapes(theirs)
    activations = [
        {type(module).__name__ for module in network.modules() if "GELU" in str(type(module))}
        for network in (ours, theirs)
    ]
    assert activations[0] == activations[1]


def shapes(network: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


@pytest.mark.parametrize(
    ("family", "model", "name"),
    [
        ("clip", "ViT-B-32", "ViT-B-32"),
        ("coca", "ViT-B-32", "coca_ViT-B-32"),
        ("siglip", "ViT-B-16", "siglip_ViT-B-16"),
        ("clip", "open_clip:ViT-B-32-quickgelu", "ViT-B-32-quickgelu"),
        ("clip", "mine/model.v2.json#1234abcd", "model.v2"),
        ("siglip", "timm:resnet50", "siglip_resnet50"),
    ],
)
def test_a_model_is_called_in_open_clip_as_the_study_calls_it(
    family: str, model: str, name: str
) -> None:
    assert open_clip_name(family, model) == name


def test_a_coca_that_open_clip_cannot_be_asked_for_has_no_configuration() -> None:
    recipe = Recipe(batch_size=1, learning_rate=1e-3, warmup_samples=1, pad="mask")
    with torch.device("meta"):
        network = FAMILIES.get("coca").build("tiny-a", recipe)

    assert open_clip_configuration(find_model("coca", "tiny-a"), network, {}) is None
