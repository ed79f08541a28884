"""MaMMUT in the reference study's format against an implementation of its own.

Names, shapes and the network are written here from the description of the study's released
checkpoints, with torch's functions alone.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from scaling.families import FAMILIES
from scaling.families._towers import MAMMUT, ViTConfig
from scaling.families.mammut.network import Mammut
from scaling.weights import load_network
from scaling.weights.loading import load_into

Weights = dict[str, Tensor]


def block_shapes(prefix: str, width: int, *, mlp: bool = True, crossed: bool = False) -> dict:
    shapes = {
        f"{prefix}.attn.in_proj_weight": (3 * width, width),
        f"{prefix}.attn.in_proj_bias": (3 * width,),
        f"{prefix}.attn.out_proj.weight": (width, width),
        f"{prefix}.attn.out_proj.bias": (width,),
    }
    if mlp:
        shapes |= {
            f"{prefix}.mlp.c_fc.weight": (4 * width, width),
            f"{prefix}.mlp.c_fc.bias": (4 * width,),
            f"{prefix}.mlp.c_proj.weight": (width, 4 * width),
            f"{prefix}.mlp.c_proj.bias": (width,),
        }
    norms = ["ln_1", *["ln_1_kv"][: int(crossed)], *["ln_2"][: int(mlp)]]
    return shapes | {
        f"{prefix}.{norm}.{part}": (width,) for norm in norms for part in ("weight", "bias")
    }


def documented_shapes(config: ViTConfig) -> dict[str, tuple[int, ...]]:
    vision, width = config.vision_width, config.text_width
    positions = (config.image_size // config.patch_size) ** 2 + 1
    shapes: dict[str, tuple[int, ...]] = {
        "logit_scale": (),
        "map_viz2txt_kv": (vision, width),
        "text.token_embedding.weight": (config.vocab_size, width),
        "text.positional_embedding": (config.context_length, width),
        "text.text_projection": (width, config.vocab_size),
        "text.ln_final.weight": (width,),
        "text.ln_final.bias": (width,),
        "visual.class_embedding": (vision,),
        "visual.positional_embedding": (positions, vision),
        "visual.proj": (vision, config.embed_dim),
        "visual.conv1.weight": (vision, 3, config.patch_size, config.patch_size),
    }
    for norm in ("ln_pre", "ln_post"):
        shapes |= {f"visual.{norm}.{part}": (vision,) for part in ("weight", "bias")}
    for layer in range(config.vision_layers):
        shapes |= block_shapes(f"visual.transformer.resblocks.{layer}", vision)
    for layer in range(config.text_layers):
        has_mlp = config.has_mlp or layer % 2 == 1
        shapes |= block_shapes(f"text.resblocks.{layer}", width, mlp=has_mlp)
    for number in range((config.text_layers + 1) // 2):
        shapes |= block_shapes(f"text.cross_attn.{number}", width, crossed=True)
    return shapes


def random_weights(config: ViTConfig) -> Weights:
    generator = torch.Generator().manual_seed(3)

    def values(name: str, shape: tuple[int, ...]) -> Tensor:
        noise = torch.randn(shape, generator=generator)
        is_gain = ".ln_" in f".{name}" and name.endswith("weight")
        return 1 + 0.2 * noise if is_gain else 0.2 * noise

    return {name: values(name, shape) for name, shape in documented_shapes(config).items()}


@dataclass
class Study:
    """The study's network, from the description."""

    weights: Weights
    config: ViTConfig

    def images(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features and the tokens that captioning sees."""
        weights, config = self.weights, self.config
        patches = functional.conv2d(
            images, weights["visual.conv1.weight"], stride=config.patch_size
        )
        x = patches.flatten(2).transpose(1, 2)
        first = weights["visual.class_embedding"].expand(len(x), 1, -1)
        x = torch.cat([first, x], dim=1) + weights["visual.positional_embedding"]
        x = self.norm("visual.ln_pre", x)
        heads = config.vision_width // config.vision_head_width
        for layer in range(config.vision_layers):
            x = self.block(f"visual.transformer.resblocks.{layer}", x, heads)
        pooled = self.norm("visual.ln_post", x.mean(dim=1)) @ weights["visual.proj"]
        return functional.normalize(pooled, dim=-1), x

    def texts(self, tokens: Tensor) -> Tensor:
        """Features: bidirectional, without cross-attention, the mean over every position."""
        return functional.normalize(self.decoder(tokens, None).mean(dim=1), dim=-1)

    def caption_losses(self, image_tokens: Tensor, tokens: Tensor) -> Tensor:
        """Of each caption, summed over the tokens that are not padding."""
        keys = image_tokens @ self.weights["map_viz2txt_kv"]
        logits = self.decoder(tokens[:, :-1], keys) @ self.weights["text.text_projection"]
        losses = functional.cross_entropy(
            logits.transpose(1, 2), tokens[:, 1:], ignore_index=0, reduction="none"
        )
        return losses.sum(dim=1)

    def decoder(self, tokens: Tensor, image_keys: Tensor | None) -> Tensor:
        weights, length, heads = self.weights, tokens.shape[1], self.config.text_heads
        causal = torch.ones(length, length, dtype=torch.bool).tril()
        x = weights["text.token_embedding.weight"][tokens]
        x = x + weights["text.positional_embedding"][:length]
        for layer in range(self.config.text_layers):
            mask = None if image_keys is None else causal
            x = self.block(f"text.resblocks.{layer}", x, heads, mask=mask)
            if image_keys is not None and layer % 2 == 0:
                x = self.block(f"text.cross_attn.{layer // 2}", x, heads, keys=image_keys)
        return self.norm("text.ln_final", x)

    def block(
        self,
        name: str,
        x: Tensor,
        heads: int,
        *,
        mask: Tensor | None = None,
        keys: Tensor | None = None,
    ) -> Tensor:
        queries = self.norm(f"{name}.ln_1", x)
        attended_to = queries if keys is None else self.norm(f"{name}.ln_1_kv", keys)
        x = x + self.attention(f"{name}.attn", queries, attended_to, heads, mask)
        if f"{name}.mlp.c_fc.weight" in self.weights:
            hidden = functional.gelu(self.linear(f"{name}.mlp.c_fc", self.norm(f"{name}.ln_2", x)))
            x = x + self.linear(f"{name}.mlp.c_proj", hidden)
        return x

    def attention(
        self, name: str, queries: Tensor, keys: Tensor, heads: int, mask: Tensor | None
    ) -> Tensor:
        matrices = self.weights[f"{name}.in_proj_weight"].chunk(3)
        biases = self.weights[f"{name}.in_proj_bias"].chunk(3)
        q, k, v = (
            functional.linear(x, matrix, bias).unflatten(-1, (heads, -1)).transpose(1, 2)
            for x, matrix, bias in zip((queries, keys, keys), matrices, biases, strict=True)
        )
        scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
        if mask is not None:
            scores = scores.masked_fill(~mask, -math.inf)
        return self.linear(f"{name}.out_proj", (scores.softmax(-1) @ v).transpose(1, 2).flatten(2))

    def norm(self, name: str, x: Tensor) -> Tensor:
        return functional.layer_norm(
            x, x.shape[-1:], self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        )

    def linear(self, name: str, x: Tensor) -> Tensor:
        return functional.linear(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])


def captions(config: ViTConfig, count: int) -> Tensor:
    """Token ids, the last ones of each caption padding."""
    tokens = torch.randint(1, config.vocab_size, (count, config.context_length))
    for row, length in enumerate(torch.randint(3, config.context_length, (count,)).tolist()):
        tokens[row, length:] = 0
    return tokens


def released(weights: Weights, folder: Path) -> Path:
    path = folder / "epoch_128.pt"
    names = {f"module.{name}": tensor for name, tensor in weights.items()}
    torch.save({"epoch": 128, "name": "mammut", "state_dict": names}, path)
    return path


Load = Callable[[Path], torch.nn.Module]


def by_name(path: Path) -> torch.nn.Module:
    return load_network(path, "mammut", "tiny-c")


def with_every_mlp(path: Path) -> torch.nn.Module:
    network = Mammut(replace(MAMMUT["tiny-c"], has_mlp=True))
    load_into(network, path, owner="mammut with every MLP")
    return network.eval()


@pytest.mark.parametrize(("has_mlp", "load"), [(False, by_name), (True, with_every_mlp)])
def test_a_released_mammut_gives_the_outputs_of_the_study(
    has_mlp: bool, load: Load, tmp_path: Path
) -> None:
    config = replace(MAMMUT["tiny-c"], has_mlp=has_mlp)
    weights = random_weights(config)
    study = Study(weights, config)
    torch.manual_seed(4)
    images = torch.randn(4, 3, config.image_size, config.image_size)
    tokens = captions(config, 4)

    network = load(released(weights, tmp_path))

    image_features, image_tokens = study.images(images)
    with torch.inference_mode():
        torch.testing.assert_close(network.encode_image(images), image_features, rtol=0, atol=1e-5)
        torch.testing.assert_close(
            network.encode_text(tokens), study.texts(tokens), rtol=0, atol=1e-5
        )
        losses = torch.stack(
            [network(images[i : i + 1], tokens[i : i + 1]).sums["caption"] for i in range(4)]
        )
    torch.testing.assert_close(
        losses, study.caption_losses(image_tokens, tokens), rtol=1e-5, atol=0
    )
    assert losses.std() > 1


@pytest.mark.parametrize("model", ["ViT-S-32", "ViT-M-16", "ViT-B-16", "ViT-L-14", "ViT-H-14"])
def test_published_sizes_have_the_documented_names_and_shapes(model: str) -> None:
    family = FAMILIES.get("mammut")
    with torch.device("meta"):
        network = family.build(model)

    found = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}

    assert found == documented_shapes(MAMMUT[model])
