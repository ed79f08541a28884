"""CLIP's network: open_clip's, with features of unit norm.

Its text tower is causal and its feature is taken at the end token, so that padding, which comes
after, is left out (`scaling.families._captions`); open_clip's own takes full length only. Text
towers that see padding, or are not open_clip's, compute all of it.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg, CustomTextCLIP
from open_clip.transformer import TextTransformer, text_global_pool
from torch import Tensor, nn
from torch.nn import functional

from scaling.errors import ScalingError, unknown
from scaling.families import Outputs
from scaling.families._captions import without_padding
from scaling.families._open_clip import OpenClipConfig
from scaling.families._patches import PatchFeatures
from scaling.families._towers import ModelConfig, ViTConfig


class _UnitFeatures(PatchFeatures):
    """What this project asks of a network, over open_clip's two classes for two towers."""

    def encode_image(self, image: Tensor, normalize: bool = True) -> Tensor:
        """Features (B, D) of images (B, 3, H, W), of unit L2 norm unless told otherwise."""
        features: Tensor = super().encode_image(image, normalize=normalize)  # type: ignore[misc]
        return features

    def encode_text(self, text: Tensor, normalize: bool = True) -> Tensor:
        """Features (B, D) of token ids (B, T), of unit L2 norm unless told otherwise."""
        shorter = without_padding(text) if self.trim_captions and self._is_blind() else text
        if shorter.shape == text.shape:
            features: Tensor = super().encode_text(text, normalize=normalize)  # type: ignore[misc]
            return features
        features = self._encode_shorter(shorter)
        return functional.normalize(features, dim=-1) if normalize else features

    def forward(self, image: Tensor, text: Tensor, captions: bool = True) -> Outputs:
        """See `scaling.families.Outputs`; there are no captions to skip."""
        features = {
            "image_features": self.encode_image(image),
            "text_features": self.encode_text(text),
        }
        scalars = {"logit_scale": self.logit_scale.exp()}
        if self.logit_bias is not None:
            scalars["logit_bias"] = self.logit_bias
        return Outputs(features, scalars, {})

    def _is_blind(self) -> bool:
        """Whether padding after the end token cannot change the text's feature."""
        tower, pooling, _ = self._text_tower()
        is_causal = getattr(tower, "attn_mask", None) is not None
        has_class_token = getattr(tower, "cls_emb", None) is not None
        return is_causal and not has_class_token and pooling in ("first", "argmax", "eos")

    def _encode_shorter(self, text: Tensor) -> Tensor:
        """What open_clip's text tower computes, for tokens (B, T) of any length."""
        tower, pooling, end_id = self._text_tower()
        length = text.shape[1]
        x = tower.token_embedding(text) + tower.positional_embedding[:length]
        x = tower.transformer(x, attn_mask=tower.attn_mask[:length, :length])
        pooled: Tensor = text_global_pool(tower.ln_final(x), text, pooling, eos_token_id=end_id)
        projection = tower.text_projection
        if projection is None:
            return pooled
        is_layer = isinstance(projection, nn.Linear)
        pooled = projection(pooled) if is_layer else pooled @ projection
        return pooled

    def _text_tower(self) -> tuple[Any, str, int]:
        """What has the text tower's parts, how it pools, and the id of the end token."""
        raise NotImplementedError

    logit_scale: Tensor
    logit_bias: Tensor | None
    trim_captions = True
    """Whether padding is left out where that is exact."""


class Clip(_UnitFeatures, CLIP):  # type: ignore[misc]  # open_clip is not typed
    """open_clip's CLIP; its state dict loads there and the other way round."""

    def _text_tower(self) -> tuple[Any, str, int]:
        return self, self.text_pool_type, self.text_eos_id


class CustomTextClip(_UnitFeatures, CustomTextCLIP):  # type: ignore[misc]
    """open_clip's CLIP whose text tower is a module of its own, as some configurations ask for."""

    def _text_tower(self) -> tuple[Any, str, int]:
        if isinstance(self.text, TextTransformer):
            return self.text, self.text.pool_type, self.text.eos_id
        return self.text, "unknown", 0


def build(
    config: ModelConfig,
    *,
    init_logit_scale: float = math.log(1 / 0.07),
    init_logit_bias: float | None = None,
) -> Clip | CustomTextClip:
    """A network with fresh weights, initialised as open_clip does.

    Logit scale and bias are the family's, not the configuration's: they belong to the loss.
    """
    content = open_clip_content(config)
    network = CustomTextClip if content.pop("custom_text", False) else Clip
    content.pop("init_logit_bias", None)
    return network(
        **content,
        init_logit_scale=init_logit_scale,
        init_logit_bias=init_logit_bias,
        output_dict=True,
    )


def open_clip_content(config: ModelConfig) -> dict[str, Any]:
    """The arguments of open_clip's class; raises `ScalingError` for a key that it has not."""
    if isinstance(config, OpenClipConfig):
        content = dict(config.content)
        _check(config.source, content)
        return content
    assert isinstance(config, ViTConfig)
    vision = CLIPVisionCfg(
        image_size=config.image_size,
        patch_size=config.patch_size,
        width=config.vision_width,
        layers=config.vision_layers,
        head_width=config.vision_head_width,
        ls_init_value=config.vision_layer_scale,
    )
    text = CLIPTextCfg(
        context_length=config.context_length,
        vocab_size=config.vocab_size,
        width=config.text_width,
        heads=config.text_heads,
        layers=config.text_layers,
    )
    return {
        "embed_dim": config.embed_dim,
        "vision_cfg": dataclasses.asdict(vision),
        "text_cfg": dataclasses.asdict(text),
    }


_KEYS = ("embed_dim", "vision_cfg", "text_cfg", "quick_gelu", "custom_text", "init_logit_bias")


def _check(source: str, content: Mapping[str, Any]) -> None:
    problems = [unknown("key", key, _KEYS) for key in content if key not in _KEYS]
    for section, schema in (("vision_cfg", CLIPVisionCfg), ("text_cfg", CLIPTextCfg)):
        known = [field.name for field in dataclasses.fields(schema)]
        problems += [
            f"{section}: {unknown('key', key, known)}"
            for key in content[section]
            if key not in known
        ]
    if problems:
        raise ScalingError("\n  ".join([f"{source}:", *problems]))
