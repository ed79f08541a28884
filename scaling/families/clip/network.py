"""CLIP's network: open_clip's, with features of unit norm."""

import math
from dataclasses import asdict

import torch
from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg
from torch import Tensor

from scaling.families import Outputs
from scaling.families._towers import ViTConfig


class Clip(CLIP):  # type: ignore[misc]  # open_clip is not typed
    """open_clip's CLIP; its state dict loads there and the other way round."""

    def __init__(
        self,
        config: ViTConfig,
        *,
        init_logit_scale: float = math.log(1 / 0.07),
        init_logit_bias: float | None = None,
    ) -> None:
        """Fresh weights, initialised as open_clip does."""
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
        super().__init__(
            config.embed_dim,
            asdict(vision),
            asdict(text),
            init_logit_scale=init_logit_scale,
            init_logit_bias=init_logit_bias,
            output_dict=True,
        )

    def encode_image(self, image: Tensor, normalize: bool = True) -> Tensor:
        """Features (B, D) of images (B, 3, H, W), of unit L2 norm unless told otherwise."""
        features: Tensor = super().encode_image(image, normalize=normalize)
        return features

    def encode_text(self, text: Tensor, normalize: bool = True) -> Tensor:
        """Features (B, D) of token ids (B, T), of unit L2 norm unless told otherwise."""
        features: Tensor = super().encode_text(text, normalize=normalize)
        return features

    def forward(self, image: Tensor, text: Tensor, captions: bool = True) -> Outputs:
        """See `scaling.families.Outputs`; there are no captions to skip."""
        features = {
            "image_features": self.encode_image(image),
            "text_features": self.encode_text(text),
        }
        scalars = {"logit_scale": torch.exp(self.logit_scale)}
        if self.logit_bias is not None:
            scalars["logit_bias"] = self.logit_bias
        return Outputs(features, scalars, {})
