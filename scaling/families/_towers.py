"""Model sizes by name: the numbers that define a network, free of torch.

Names and sizes are the reference study's (arXiv:2506.04598, `experiments/published/
model_profile.csv`), besides `tiny-a` to `tiny-e`, which are this project's own: five sizes that
train on a laptop's CPU, over a factor of 70 in compute.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from scaling.vocabulary import VOCABULARY

TokenizerName = Literal["clip", "shapes"]


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """What data and tasks must know of a network, whatever is in it: the shape of its inputs."""

    image_size: int = 224
    """Pixels, square."""
    context_length: int = 77
    """Tokens of a caption, padding included."""
    vocab_size: int = 49408
    tokenizer: TokenizerName = "clip"


@dataclass(frozen=True, kw_only=True)
class ViTConfig(ModelConfig):
    """Everything that defines a vision transformer with a text transformer beside it."""

    patch_size: int
    vision_width: int
    vision_layers: int
    vision_head_width: int = 64
    vision_layer_scale: float | None = None
    """Initial value of the scale on each residual branch of the image tower; None has none."""
    text_width: int
    text_heads: int
    text_layers: int
    embed_dim: int
    """Width of the space that images and texts share."""
    pooler_queries: int = 256
    """CoCa: learned queries by which attention pools the image; the first gives its feature, the
    others are what captioning sees."""
    pooler_heads: int = 8
    """CoCa: heads of that attention."""
    has_mlp: bool = True
    """MaMMUT: whether a self-attention block that a cross-attention block follows has an MLP."""
    cross_attention_every: int = 2
    """MaMMUT: a cross-attention block follows the first text layer and every n-th after it."""

    @property
    def vision_heads(self) -> int:
        """Attention heads of the image tower."""
        return self.vision_width // self.vision_head_width

    @property
    def patches(self) -> int:
        """Image patches."""
        return (self.image_size // self.patch_size) ** 2

    @property
    def image_tokens(self) -> int:
        """Image patches and the class token."""
        return self.patches + 1

    @property
    def cross_attention_layers(self) -> range:
        """MaMMUT: the text layers that a cross-attention block follows."""
        return range(0, self.text_layers, self.cross_attention_every)


_VISION: dict[str, dict[str, Any]] = {
    "S": {"vision_width": 384, "vision_layers": 12},
    "M": {"vision_width": 512, "vision_layers": 12},
    "B": {"vision_width": 768, "vision_layers": 12},
    "L": {"vision_width": 1024, "vision_layers": 24},
    "H": {"vision_width": 1280, "vision_layers": 32, "vision_head_width": 80},
}
_TEXT: dict[str, dict[str, Any]] = {
    "S": {"text_width": 384, "text_heads": 6, "text_layers": 12, "embed_dim": 384},
    "S-alt": {"text_width": 256, "text_heads": 4, "text_layers": 10, "embed_dim": 256},
    "M": {"text_width": 512, "text_heads": 8, "text_layers": 12, "embed_dim": 512},
    "M-alt": {"text_width": 384, "text_heads": 6, "text_layers": 12, "embed_dim": 384},
    "B": {"text_width": 512, "text_heads": 8, "text_layers": 12, "embed_dim": 512},
    "B-text-plus": {"text_width": 768, "text_heads": 12, "text_layers": 12, "embed_dim": 768},
    "L": {"text_width": 768, "text_heads": 12, "text_layers": 12, "embed_dim": 768},
    "H": {"text_width": 1024, "text_heads": 16, "text_layers": 24, "embed_dim": 1024},
}


def _published(size: str, patch_size: int, text: str = "") -> ViTConfig:
    return ViTConfig(patch_size=patch_size, **_VISION[size], **_TEXT[text or size])


def _tiny(vision: tuple[int, int], text: tuple[int, int]) -> ViTConfig:
    (vision_width, vision_layers), (text_width, text_layers) = vision, text
    head_width = 16
    return ViTConfig(
        image_size=16,
        patch_size=4,
        vision_width=vision_width,
        vision_layers=vision_layers,
        vision_head_width=head_width,
        text_width=text_width,
        text_heads=text_width // head_width,
        text_layers=text_layers,
        embed_dim=text_width,
        context_length=16,
        vocab_size=len(VOCABULARY),
        tokenizer="shapes",
        has_mlp=False,
    )


TINY: Mapping[str, ViTConfig] = {
    "tiny-a": _tiny((16, 1), (16, 2)),
    "tiny-b": _tiny((32, 2), (32, 2)),
    "tiny-c": _tiny((48, 3), (48, 2)),
    "tiny-d": _tiny((64, 4), (64, 2)),
    "tiny-e": _tiny((96, 5), (64, 4)),
}
"""Sizes for 16-pixel images and captions of the embedded dataset, smallest first."""

_SIZES_AND_PATCHES = [(size, patch) for size in "SMBLH" for patch in (32, 16, 14)]

CLIP: Mapping[str, ViTConfig] = {
    **TINY,
    **{f"ViT-{size}-{patch}": _published(size, patch) for size, patch in _SIZES_AND_PATCHES},
    "ViT-S-32-alt": _published("S", 32, "S-alt"),
    "ViT-S-16-alt": _published("S", 16, "S-alt"),
    "ViT-M-32-alt": _published("M", 32, "M-alt"),
    # Only this one has layer scale; so does open_clip's ViT-M-16-alt.json.
    "ViT-M-16-alt": replace(_published("M", 16, "M-alt"), vision_layer_scale=1e-4),
    "ViT-B-16-text-plus": _published("B", 16, "B-text-plus"),
}
"""Sizes of CLIP by name."""

SIGLIP: Mapping[str, ViTConfig] = CLIP
"""Sizes of SigLIP by name: those of CLIP, as the study has them. They are not the networks that
open_clip calls `ViT-*-SigLIP`, whose towers are others."""


def _with_text_plus(size: str, patch_size: int) -> str:
    """The study's CoCa and MaMMUT B-16 have the text tower of its CLIP B-16-text-plus."""
    return "B-text-plus" if (size, patch_size) == ("B", 16) else size


def _coca(size: str, patch_size: int) -> ViTConfig:
    config = _published(size, patch_size, _with_text_plus(size, patch_size))
    # 76 tokens and a learned class token at their end: 77 positions.
    return replace(config, context_length=76)


def _tiny_coca(config: ViTConfig) -> ViTConfig:
    """As many queries as there are image tokens, so that pooling loses none of a tiny image."""
    return replace(config, pooler_queries=config.image_tokens, pooler_heads=config.text_heads)


COCA: Mapping[str, ViTConfig] = {
    **{name: _tiny_coca(config) for name, config in TINY.items()},
    **{f"ViT-{size}-{patch}": _coca(size, patch) for size, patch in _SIZES_AND_PATCHES},
}
"""Sizes of CoCa by name. The captioner has the width, heads and layers of the text tower."""


def _mammut(size: str, patch_size: int) -> ViTConfig:
    text = _with_text_plus(size, patch_size)
    return replace(_published(size, patch_size, text), has_mlp=text in ("B-text-plus", "L", "H"))


MAMMUT: Mapping[str, ViTConfig] = {
    **TINY,
    **{f"ViT-{size}-{patch}": _mammut(size, patch) for size, patch in _SIZES_AND_PATCHES},
}
"""Sizes of MaMMUT by name."""

CAP: Mapping[str, ViTConfig] = MAMMUT
"""Sizes of Cap by name: the networks of MaMMUT, trained on captions alone."""
