"""CoCa's configurations in open_clip's JSON, read as sizes, which have a closed form."""

from collections.abc import Mapping
from typing import Any

from scaling.families._towers import ViTConfig

_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "vision_cfg": {
        "image_size": 224,
        "patch_size": 16,
        "width": 768,
        "layers": 12,
        "head_width": 64,
        "ls_init_value": None,
        "attentional_pool": False,
        "attn_pooler_queries": 256,
        "attn_pooler_heads": 8,
        "output_tokens": False,
    },
    "text_cfg": {
        "context_length": 77,
        "vocab_size": 49408,
        "width": 512,
        "heads": 8,
        "layers": 12,
        "embed_cls": False,
        "output_tokens": False,
    },
    "multimodal_cfg": {
        "context_length": 77,
        "vocab_size": 49408,
        "width": 512,
        "heads": 8,
        "layers": 12,
    },
}
"""What open_clip takes for a key that is absent."""

_UNREAD = {"mlp_ratio", "dim_head", "n_queries", "attn_pooler_heads"}
"""Keys of `multimodal_cfg` that open_clip does not read."""


def coca_config(content: Mapping[str, Any]) -> ViTConfig:
    """The size that `content` describes; raises `ValueError` with all that our CoCa cannot be."""
    given = {section: {**its, **content[section]} for section, its in _DEFAULTS.items()}
    given["multimodal_cfg"] = {
        key: value for key, value in given["multimodal_cfg"].items() if key not in _UNREAD
    }
    config = _sizes(content["embed_dim"], given["vision_cfg"], given["text_cfg"])
    problems = [
        f"{key}: is not supported"
        for key in content
        if key not in (*_DEFAULTS, "embed_dim", "custom_text")
    ]
    for section, its in coca_content(config).items():
        problems += [
            f"{section}.{key}: {value!r} is not supported"
            + (f", only {its[key]!r}" if key in its else "")
            for key, value in given[section].items()
            if key not in its or value != its[key]
        ]
    if config.embed_dim != config.text_width:
        problems.append(
            f"embed_dim: {config.embed_dim} is not text_cfg.width, {config.text_width}: the "
            "captioner attends to pooled tokens of the one with the other"
        )
    if problems:
        raise ValueError("\n  ".join(problems))
    return config


def coca_content(config: ViTConfig) -> dict[str, dict[str, Any]]:
    """The towers of a CoCa of this size, every key written out."""
    text = {
        "context_length": config.context_length,
        "vocab_size": config.vocab_size,
        "width": config.text_width,
        "heads": config.text_heads,
        "layers": config.text_layers,
    }
    return {
        "vision_cfg": {
            "image_size": config.image_size,
            "patch_size": config.patch_size,
            "width": config.vision_width,
            "layers": config.vision_layers,
            "head_width": config.vision_head_width,
            "ls_init_value": config.vision_layer_scale,
            "attentional_pool": True,
            "attn_pooler_queries": config.pooler_queries,
            "attn_pooler_heads": config.pooler_heads,
            "output_tokens": True,
        },
        "text_cfg": {**text, "embed_cls": True, "output_tokens": True},
        "multimodal_cfg": text,
    }


def _sizes(embed_dim: int, vision: Mapping[str, Any], text: Mapping[str, Any]) -> ViTConfig:
    return ViTConfig(
        image_size=vision["image_size"],
        patch_size=vision["patch_size"],
        vision_width=vision["width"],
        vision_layers=vision["layers"],
        vision_head_width=vision["head_width"],
        vision_layer_scale=vision["ls_init_value"],
        pooler_queries=vision["attn_pooler_queries"],
        pooler_heads=vision["attn_pooler_heads"],
        context_length=text["context_length"],
        vocab_size=text["vocab_size"],
        text_width=text["width"],
        text_heads=text["heads"],
        text_layers=text["layers"],
        embed_dim=embed_dim,
    )
