import json
from pathlib import Path
from typing import Any

import open_clip
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from scaling.families import FAMILIES
from scaling.weights import WeightsError, load_network

TOWERS: dict[str, Any] = {
    "embed_dim": 32,
    "vision_cfg": {
        "image_size": 16,
        "patch_size": 4,
        "width": 32,
        "layers": 2,
        "head_width": 16,
    },
    "text_cfg": {"context_length": 16, "vocab_size": 49, "width": 32, "heads": 2, "layers": 2},
}
"""`tiny-b`, as open_clip is told it."""

COCA: dict[str, Any] = {
    "embed_dim": 32,
    "vision_cfg": {
        **TOWERS["vision_cfg"],
        "attentional_pool": True,
        "attn_pooler_queries": 17,
        "attn_pooler_heads": 2,
        "output_tokens": True,
    },
    "text_cfg": {**TOWERS["text_cfg"], "embed_cls": True, "output_tokens": True},
    "multimodal_cfg": TOWERS["text_cfg"],
    "custom_text": True,
}

CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "clip": TOWERS,
    "siglip": {**TOWERS, "init_logit_bias": -10},
    "coca": COCA,
}


def by_open_clip(configuration: dict[str, Any], folder: Path) -> nn.Module:
    """open_clip's own network, with weights none of which is as it was initialised."""
    path = folder / f"configuration-{len(list(folder.iterdir()))}.json"
    path.write_text(json.dumps(configuration))
    open_clip.add_model_config(path)
    torch.manual_seed(1)
    network = open_clip.create_model(path.stem)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name == "text_decoder.text_projection":
                # Never initialised by open_clip: whatever was in memory.
                parameter.zero_()
            parameter += 0.02 * torch.randn_like(parameter)
    return network.eval()


def pairs(image_size: int = 16, context_length: int = 16) -> tuple[Tensor, Tensor]:
    """Three images and captions, two of which end in padding."""
    torch.manual_seed(2)
    tokens = torch.randint(1, 49, (3, context_length))
    tokens[0, 5:] = tokens[1, 9:] = 0
    return torch.randn(3, 3, image_size, image_size), tokens


def assert_same_features(ours: nn.Module, theirs: nn.Module, *shape: int) -> None:
    images, tokens = pairs(*shape)
    with torch.inference_mode():
        for here, there in (
            (ours.encode_image(images), theirs.encode_image(images, normalize=True)),
            (ours.encode_text(tokens), theirs.encode_text(tokens, normalize=True)),
        ):
            torch.testing.assert_close(here, there, rtol=0, atol=1e-5)


def wrapped(network: nn.Module, *prefixes: str) -> dict[str, Tensor]:
    return {"".join(prefixes) + name: value for name, value in network.state_dict().items()}


@pytest.mark.parametrize("family", CONFIGURATIONS)
@pytest.mark.parametrize(
    "prefixes",
    [(), ("module.",), ("_orig_mod.",), ("module.", "_orig_mod."), ("_orig_mod.", "module.")],
    ids=lambda prefixes: "".join(prefixes) or "plain",
)
def test_networks_of_open_clip_give_the_same_features_here(
    family: str, prefixes: tuple[str, ...], tmp_path: Path
) -> None:
    theirs = by_open_clip(CONFIGURATIONS[family], tmp_path)
    path = tmp_path / "epoch_7.pt"
    torch.save({"epoch": 7, "name": "x", "state_dict": wrapped(theirs, *prefixes)}, path)

    ours = load_network(path, family, "tiny-b")

    assert_same_features(ours, theirs)
    assert torch.equal(ours.logit_scale, theirs.logit_scale)
    if family == "siglip":
        assert torch.equal(ours.logit_bias, theirs.logit_bias)


def test_a_coca_of_open_clip_finds_the_same_captions_as_likely_here(tmp_path: Path) -> None:
    theirs = by_open_clip(COCA, tmp_path)
    path = tmp_path / "weights.pt"
    torch.save(theirs.state_dict(), path)
    images, tokens = pairs()

    ours = load_network(path, "coca", "tiny-b")

    with torch.inference_mode():
        said = theirs(images, tokens)
        losses = nn.functional.cross_entropy(
            said["logits"].transpose(1, 2), said["labels"], ignore_index=0, reduction="none"
        ).sum(dim=1)
        likelihoods = ours.caption_log_likelihood(images, tokens)
    torch.testing.assert_close(likelihoods, -losses, rtol=1e-5, atol=0)


def test_the_smallest_published_clip_as_open_clip_ships_it(tmp_path: Path) -> None:
    theirs = open_clip.create_model("ViT-S-32-alt").eval()
    path = tmp_path / "open_clip_pytorch_model.safetensors"
    safetensors.torch.save_file(theirs.state_dict(), path)

    ours = load_network(path, "clip", "ViT-S-32-alt")

    assert_same_features(ours, theirs, 224, 77)


def test_a_text_tower_that_is_a_module_of_its_own_is_the_same_tower(tmp_path: Path) -> None:
    theirs = by_open_clip({**TOWERS, "custom_text": True}, tmp_path)
    path = tmp_path / "weights.pt"
    torch.save(theirs.state_dict(), path)

    ours = load_network(path, "clip", "tiny-b")

    assert "text.token_embedding.weight" in theirs.state_dict()
    assert_same_features(ours, theirs)


def test_half_precision_and_a_logit_scale_of_one_dimension_are_read(tmp_path: Path) -> None:
    weights = FAMILIES.get("clip").build("tiny-b").state_dict()
    weights["logit_scale"] = weights["logit_scale"].reshape(1)
    path = tmp_path / "weights.pt"
    torch.save({name: tensor.half() for name, tensor in weights.items()}, path)

    network = load_network(path, "clip", "tiny-b")

    assert network.logit_scale.shape == ()
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}


def test_loading_leaves_the_random_state_alone(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save(FAMILIES.get("clip").build("tiny-a").state_dict(), path)
    before = torch.get_rng_state()

    load_network(path, "clip", "tiny-a")

    assert torch.equal(torch.get_rng_state(), before)


def message(weights: dict[str, Tensor], family: str, model: str, folder: Path) -> str:
    path = folder / "weights.pt"
    torch.save(weights, path)
    with pytest.raises(WeightsError) as raised:
        load_network(path, family, model)
    return str(raised.value)


@pytest.mark.parametrize(
    ("family", "model", "asked"),
    [
        ("clip", "tiny-c", ("clip", "tiny-b")),
        ("siglip", "tiny-b", ("clip", "tiny-b")),
        ("clip", "tiny-b", ("siglip", "tiny-b")),
        ("mammut", "tiny-d", ("clip", "tiny-d")),
        ("clip", "ViT-S-32-alt", ("clip", "ViT-S-32")),
        ("coca", "tiny-b", ("clip", "tiny-b")),
    ],
)
def test_weights_of_another_model_are_told_whose_they_are(
    family: str, model: str, asked: tuple[str, str], tmp_path: Path
) -> None:
    weights = FAMILIES.get(family).build(model).state_dict()

    said = message(weights, *asked, tmp_path)

    assert f"not weights of {' '.join(asked)}" in said
    last = said.splitlines()[-1]
    assert last.startswith("  they fit")
    assert f"{family} {model}" in last


def test_what_is_missing_unexpected_and_of_other_shape_is_counted_and_named(
    tmp_path: Path,
) -> None:
    weights = FAMILIES.get("clip").build("tiny-b").state_dict()
    del weights["visual.proj"]
    weights["extra"] = torch.zeros(2)
    weights["visual.ln_post.weight"] = torch.zeros(31)

    said = message(weights, "clip", "tiny-b", tmp_path)

    assert "1 missing: visual.proj\n" in said
    assert "1 unexpected: extra\n" in said
    assert "1 of other shape: visual.ln_post.weight is [31], not [32]\n" in said
    assert said.endswith("no other model is nearer: 95 % of names and shapes agree")


def test_quantised_weights_are_not_taken_for_weights(tmp_path: Path) -> None:
    weights = FAMILIES.get("clip").build("tiny-b").state_dict()
    weights["visual.proj"] = weights["visual.proj"].to(torch.int8)

    said = message(weights, "clip", "tiny-b", tmp_path)

    assert "1 of other type: visual.proj is torch.int8" in said


def test_weights_for_another_image_size_say_both_shapes(tmp_path: Path) -> None:
    weights = FAMILIES.get("clip").build("tiny-b").state_dict()
    weights["visual.positional_embedding"] = torch.zeros(37, 32)

    said = message(weights, "clip", "tiny-b", tmp_path)

    assert "visual.positional_embedding is [37, 32] (6 x 6 patches), not [17, 32]" in said
    assert "another image size" in said


def test_weights_of_nothing_known_are_not_compared_with_anything(tmp_path: Path) -> None:
    said = message({"fc.weight": torch.zeros(10, 10)}, "clip", "tiny-a", tmp_path)

    assert "no model of ours has names and shapes like these" in said


def test_openai_weights_are_refused_where_the_activation_is_another(tmp_path: Path) -> None:
    weights = FAMILIES.get("clip").build("tiny-b").state_dict()
    for number in ("input_resolution", "context_length", "vocab_size"):
        weights[number] = torch.tensor(16)

    assert "trained with QuickGELU" in message(weights, "clip", "tiny-b", tmp_path)

    configuration = tmp_path / "quick.json"
    towers = {**TOWERS, "quick_gelu": True}
    towers["text_cfg"] = {**TOWERS["text_cfg"], "vocab_size": 49408}
    configuration.write_text(json.dumps(towers))
    weights["token_embedding.weight"] = torch.zeros(49408, 32)
    torch.save(weights, tmp_path / "weights.pt")

    load_network(tmp_path / "weights.pt", "clip", str(configuration))
