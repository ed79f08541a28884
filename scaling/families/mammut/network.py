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
from scaling.families._captions import Targets, within_caption, without_padding
from scaling.families._patches import PatchFeatures
from scaling.families._towers import ViTConfig
from scaling.trial import Padding


class Captioner(PatchFeatures, nn.Module):
    """An image tower and a text decoder that sees what it puts out: what MaMMUT and Cap share."""

    trim_captions = True
    """Whether padding is left out where that is exact (`scaling.families._captions`)."""

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

    def caption_loss(self, image_tokens_BPv: Tensor, tokens_BT: Tensor) -> Tensor:
        """Cross-entropy of the captions of images, summed over the tokens not padding."""
        tokens_BT = without_padding(tokens_BT) if self.trim_captions else tokens_BT
        targets = Targets.of(tokens_BT, drop_padding=self.trim_captions)
        hidden_BTW = self._caption_states(image_tokens_BPv, tokens_BT)
        loss: Tensor = targets.loss(hidden_BTW, self.text.text_projection)
        return loss

    def caption_log_likelihood(self, images: Tensor, tokens: Tensor) -> Tensor:
        """log p of each caption (N, T) given its image (B, 3, H, W), summed over tokens (N,).

        Captions belong to images in order, N / B to each.
        """
        tokens = without_padding(tokens) if self.trim_captions else tokens
        targets = Targets.of(tokens, drop_padding=self.trim_captions)
        hidden = self._caption_states(self.visual(images)[1], tokens)
        found: Tensor = targets.log_likelihoods(hidden, self.text.text_projection)
        return found

    def caption_logits(self, images: Tensor, tokens: Tensor) -> Tensor:
        """Logits (B, T - 1, V) of the second token and those after it, given those before.

        All of them at once: for looking at a few captions, not for training.
        """
        hidden = self._caption_states(self.visual(images)[1], tokens)
        logits: Tensor = hidden @ self.text.text_projection
        return logits

    def _caption_states(self, image_tokens_BPv: Tensor, tokens_NT: Tensor) -> Tensor:
        return self.text.read(tokens_NT[:, :-1], image_tokens_BPv @ self.map_viz2txt_kv)


class Mammut(Captioner):
    """One decoder that is both the text tower and the captioner.

    The text feature is the mean over all positions. With `pad='attend'`, as published, padding is
    attended to and averaged: the feature of a caption depends on the context length, and the same
    caption without its padding has another feature. With `pad='mask'` it is neither.
    """

    def __init__(self, config: ViTConfig, *, pad: Padding = "attend") -> None:
        """Fresh weights, the same for either `pad`."""
        super().__init__(config)
        self.pad = pad

    def encode_image(self, images: Tensor) -> Tensor:
        """Features (B, D) of images (B, 3, H, W), of unit L2 norm."""
        return functional.normalize(self.visual(images)[0], dim=-1)

    def encode_text(self, tokens: Tensor) -> Tensor:
        """Features (B, D) of token ids (B, T), of unit L2 norm: the mean over positions."""
        if self.pad == "attend":
            return functional.normalize(self.text(tokens).mean(dim=1), dim=-1)
        tokens = without_padding(tokens) if self.trim_captions else tokens
        is_word_BT = within_caption(tokens)
        states_BTW = self.text(tokens, is_word_BT)
        # Not divided by the number of words: the norm takes that out.
        return functional.normalize((states_BTW * is_word_BT[..., None]).sum(dim=1), dim=-1)

    def forward(self, images: Tensor, tokens: Tensor, captions: bool = True) -> Outputs:
        """See `scaling.families.Outputs`."""
        pooled, image_tokens_BPv = self.visual(images)
        features = {
            "image_features": functional.normalize(pooled, dim=-1),
            "text_features": self.encode_text(tokens),
        }
        sums = {"caption": self.caption_loss(image_tokens_BPv, tokens)} if captions else {}
        return Outputs(features, {"logit_scale": self.logit_scale.exp()}, sums)


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
        self.heads = heads
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

    def forward(self, tokens_BT: Tensor, is_word_BT: Tensor | None = None) -> Tensor:
        """Normalised outputs (B, T, W) of the contrastive pass; what is no word is not seen."""
        mask = None
        if is_word_BT is not None:
            mask = self._mask(is_word_BT)
        x = self._embed(tokens_BT)
        for block in self.resblocks:
            x = block(x, attn_mask=mask)
        normalised: Tensor = self.ln_final(x)
        return normalised

    def read(self, tokens_NT: Tensor, image_tokens_BPW: Tensor) -> Tensor:
        """Normalised outputs (N, T, W) at each token, given it, those before, and an image.

        Captions belong to images in order, N / B to each. Cross-attention has no mask, so that
        captions of one image attend to it side by side, and its keys are computed once.
        """
        count, length = tokens_NT.shape
        mask_TT = torch.full((length, length), -math.inf, device=tokens_NT.device).triu(1)
        cross_attention = dict(zip(self.crossed_layers, self.cross_attn, strict=True))
        x = self._embed(tokens_NT)
        for layer, block in enumerate(self.resblocks):
            x = block(x, attn_mask=mask_TT)
            if layer in cross_attention:
                by_image = x.reshape(len(image_tokens_BPW), -1, x.shape[-1])
                by_image = cross_attention[layer](
                    by_image, k_x=image_tokens_BPW, v_x=image_tokens_BPW
                )
                x = by_image.reshape(count, length, -1)
        normalised: Tensor = self.ln_final(x)
        return normalised

    def _mask(self, is_word_BT: Tensor) -> Tensor:
        """What attention adds to its scores (B x heads, T, T), heads of a caption together."""
        added_B1T = torch.zeros_like(is_word_BT[:, None], dtype=torch.float32)
        added_B1T.masked_fill_(~is_word_BT[:, None], -math.inf)
        return added_B1T.repeat_interleave(self.heads, 0).expand(-1, is_word_BT.shape[1], -1)

    def _embed(self, tokens_BT: Tensor) -> Tensor:
        embedded: Tensor = self.token_embedding(tokens_BT)
        return embedded + self.positional_embedding[: tokens_BT.shape[1]]
