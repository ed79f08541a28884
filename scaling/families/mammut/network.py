"""MaMMUT's network on open_clip's blocks, as the reference study (arXiv:2506.04598) built it.

Parameters have the names and shapes of the study's released checkpoints, which load without change
once the prefix `module.` is taken off.

Shapes: B pairs, T text tokens, P image tokens, V vocabulary, W width of the decoder.
"""

import math

import torch
from open_clip.transformer import LayerNorm, ResidualAttentionBlock, VisionTransformer
from torch import Tensor, nn
from torch.nn import functional

from scaling.families import Outputs
from scaling.families._contrastive import upcast
from scaling.families._tokenizers import PAD_ID
from scaling.families._towers import ViTConfig


class Mammut(nn.Module):
    """An image tower and one decoder that is both the text tower and the captioner."""

    def __init__(self, config: ViTConfig) -> None:
        """Fresh weights; the image feature and the text feature must have the same width."""
        super().__init__()
        assert config.embed_dim == config.text_width, "the decoder has no text projection"
        self.visual = _ImageTower(
            image_size=config.image_size,
            patch_size=config.patch_size,
            width=config.vision_width,
            layers=config.vision_layers,
            heads=config.vision_heads,
            mlp_ratio=4.0,
            output_dim=config.embed_dim,
            pool_type="avg",
            final_ln_after_pool=True,
            output_tokens=True,
        )
        self.text = _Decoder(config)
        # Standard deviation 1, as published: the norm on cross-attention's keys hides the scale.
        self.map_viz2txt_kv = nn.Parameter(torch.randn(config.vision_width, config.text_width))
        self.logit_scale = nn.Parameter(torch.full((), math.log(1 / 0.07)))

    def encode_image(self, images: Tensor) -> Tensor:
        """Features (B, D) of images (B, 3, H, W), of unit L2 norm."""
        return functional.normalize(self.visual(images)[0], dim=-1)

    def encode_text(self, tokens: Tensor) -> Tensor:
        """Features (B, D) of token ids (B, T), of unit L2 norm: the mean over all positions.

        Padding is attended to and averaged, as published.
        """
        return functional.normalize(self.text(tokens).mean(dim=1), dim=-1)

    def forward(self, images: Tensor, tokens: Tensor, captions: bool = True) -> Outputs:
        """See `scaling.families.Outputs`."""
        pooled, image_tokens_BPv = self.visual(images)
        features = {
            "image_features": functional.normalize(pooled, dim=-1),
            "text_features": self.encode_text(tokens),
        }
        sums = {}
        if captions:
            logits_BTV = self._caption_logits(image_tokens_BPv, tokens)
            sums["caption"] = caption_loss(logits_BTV, tokens[:, 1:])
        return Outputs(features, {"logit_scale": self.logit_scale.exp()}, sums)

    def caption_logits(self, images: Tensor, tokens: Tensor) -> Tensor:
        """Logits (B, T - 1, V) of the second token and those after it, given those before."""
        return self._caption_logits(self.visual(images)[1], tokens)

    def _caption_logits(self, image_tokens_BPv: Tensor, tokens_BT: Tensor) -> Tensor:
        image_tokens_BPW = image_tokens_BPv @ self.map_viz2txt_kv
        return self.text.caption_logits(tokens_BT[:, :-1], image_tokens_BPW)


def caption_loss(logits_BTV: Tensor, targets_BT: Tensor) -> Tensor:
    """Cross-entropy in fp32, summed over the tokens that are not padding."""
    return functional.cross_entropy(
        upcast(logits_BTV.flatten(0, 1)),
        targets_BT.flatten(),
        ignore_index=PAD_ID,
        reduction="sum",
    )


class _ImageTower(VisionTransformer):  # type: ignore[misc]  # open_clip is not typed
    """open_clip's ViT with the fork's pooling `avg_all`, which open_clip does not have.

    The pooled feature is the mean over all tokens, class token included, and only it is
    normalised; the decoder gets every token as it leaves the last block.
    """

    def _global_pool(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x.mean(dim=1), x


class _AttentionBlock(ResidualAttentionBlock):  # type: ignore[misc]
    """Self-attention without an MLP; that of the cross-attention block that follows serves."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width, heads)
        del self.ln_2, self.mlp, self.ls_2

    def forward(self, x: Tensor, attn_mask: Tensor | None = None) -> Tensor:
        attended: Tensor = self.attention(self.ln_1(x), attn_mask=attn_mask)
        return x + attended


class _Decoder(nn.Module):
    """Pre-norm blocks with self-attention; every second is followed by cross-attention.

    Without an image it is bidirectional and skips cross-attention; with one it is causal.
    Blocks keep torch's default initialisation (not CLIP's), as published.
    """

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        width, heads = config.text_width, config.text_heads
        self.crossed_layers = tuple(config.cross_attention_layers)
        self.token_embedding = nn.Embedding(config.vocab_size, width)
        self.positional_embedding = nn.Parameter(torch.empty(config.context_length, width))
        self.resblocks = nn.ModuleList(
            _AttentionBlock(width, heads)
            if layer in self.crossed_layers and not config.has_mlp
            else ResidualAttentionBlock(width, heads)
            for layer in range(config.text_layers)
        )
        self.cross_attn = nn.ModuleList(
            ResidualAttentionBlock(width, heads, is_cross_attention=True)
            for _ in self.crossed_layers
        )
        self.ln_final = LayerNorm(width)
        # The vocabulary head. Zero at the start, untied from the embedding, without a bias.
        self.text_projection = nn.Parameter(torch.zeros(width, config.vocab_size))
        nn.init.normal_(self.token_embedding.weight, std=0.02)
        nn.init.normal_(self.positional_embedding, std=0.01)

    def forward(self, tokens_BT: Tensor) -> Tensor:
        """Normalised outputs (B, T, W) of the contrastive pass."""
        x = self._embed(tokens_BT)
        for block in self.resblocks:
            x = block(x)
        normalised: Tensor = self.ln_final(x)
        return normalised

    def caption_logits(self, tokens_BT: Tensor, image_tokens_BPW: Tensor) -> Tensor:
        """Logits (B, T, V) of each next token, given the image and the tokens before."""
        length = tokens_BT.shape[1]
        mask_TT = torch.full((length, length), -math.inf, device=tokens_BT.device).triu(1)
        cross_attention = dict(zip(self.crossed_layers, self.cross_attn, strict=True))
        x = self._embed(tokens_BT)
        for layer, block in enumerate(self.resblocks):
            x = block(x, attn_mask=mask_TT)
            if layer in cross_attention:
                x = cross_attention[layer](x, k_x=image_tokens_BPW, v_x=image_tokens_BPW)
        logits: Tensor = self.ln_final(x) @ self.text_projection
        return logits

    def _embed(self, tokens_BT: Tensor) -> Tensor:
        embedded: Tensor = self.token_embedding(tokens_BT)
        return embedded + self.positional_embedding[: tokens_BT.shape[1]]
