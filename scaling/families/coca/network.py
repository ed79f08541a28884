"""CoCa's network: open_clip's, with what is wrong in it mended.

- The vocabulary head (`text_decoder.text_projection`) is `torch.empty` in open_clip and nothing
  ever sets it. Here it is zero, so that at the start all words are equally likely: what fresh
  pages of memory read as, so in effect what open_clip trains from, and how the reference study's
  MaMMUT starts. (open_clip's `init_parameters` would draw it with standard deviation width^-0.5,
  but is never called and would fail.)
- The text tower runs once in a forward pass; in the study's code, and so in its count of FLOPs,
  it ran twice.
- The mask of the class token, which is appended to the text and gives its feature, is shifted by
  one in open_clip ("original is wrong", says its `correct_cls_mask`): the class token sees the
  first token of padding, and itself only if there is no padding. All released weights were trained
  so, and so does `pad='attend'`, the default. With `pad='mask'` it sees words and itself.
- The logits of a batch are never whole in memory, and padding is left out where that is exact, see
  `scaling.families._captions`. The class token keeps the last position whatever the length.

Shapes: B images, N captions, T text tokens, P pooled image tokens, W width of texts and features.
"""

from typing import Any

from open_clip.coca_model import CoCa
from torch import Tensor, cat, nn
from torch.nn import functional

from scaling.families import Outputs
from scaling.families._captions import Targets, without_padding
from scaling.families._open_clip_coca import coca_content
from scaling.families._patches import PatchFeatures
from scaling.families._towers import ViTConfig
from scaling.trial import Padding


class Coca(PatchFeatures, CoCa):  # type: ignore[misc]  # open_clip is not typed
    """open_clip's CoCa; its state dict loads there and the other way round."""

    trim_captions = True
    """Whether padding is left out where that is exact."""

    def __init__(self, config: ViTConfig, *, pad: Padding = "attend") -> None:
        """Fresh weights, the same for either `pad`."""
        content: dict[str, Any] = coca_content(config)
        super().__init__(config.embed_dim, **content)
        nn.init.zeros_(self.text_decoder.text_projection)
        self.text.correct_cls_mask = pad == "mask"

    def encode_image(self, images: Tensor, normalize: bool = True) -> Tensor:
        """Features (B, W) of images (B, 3, H, W), of unit L2 norm unless told otherwise."""
        features: Tensor = super().encode_image(images, normalize=normalize)
        return features

    def encode_text(self, tokens: Tensor, normalize: bool = True) -> Tensor:
        """Features (N, W) of token ids (N, T), of unit L2 norm unless told otherwise."""
        features, _ = self._encode_text(self._trimmed(tokens), normalize=normalize)
        return features

    def forward(self, images: Tensor, tokens: Tensor, captions: bool = True) -> Outputs:
        """See `scaling.families.Outputs`."""
        tokens = self._trimmed(tokens)
        image_features, image_tokens_BPW = self._encode_image(images)
        text_features, states_NTW = self._encode_text(tokens)
        sums = {}
        if captions:
            targets = Targets.of(tokens, drop_padding=self.trim_captions)
            hidden = self._caption_states(image_tokens_BPW, states_NTW)
            sums["caption"] = targets.loss(hidden, self.text_decoder.text_projection)
        features = {"image_features": image_features, "text_features": text_features}
        return Outputs(features, {"logit_scale": self.logit_scale.exp()}, sums)

    def caption_log_likelihood(self, images: Tensor, tokens: Tensor) -> Tensor:
        """log p of each caption (N, T) given its image (B, 3, H, W), summed over tokens (N,).

        Captions belong to images in order, N / B to each.
        """
        tokens = self._trimmed(tokens)
        targets = Targets.of(tokens, drop_padding=self.trim_captions)
        # The text tower sees no image: a caption that comes again is read once.
        different, which_N = tokens.unique(dim=0, return_inverse=True)  # type: ignore[no-untyped-call]
        states_NTW = self._encode_text(different)[1][which_N]
        hidden = self._caption_states(self._encode_image(images)[1], states_NTW)
        found: Tensor = targets.log_likelihoods(hidden, self.text_decoder.text_projection)
        return found

    def caption_logits(self, images: Tensor, tokens: Tensor) -> Tensor:
        """Logits (B, T - 1, V) of the second token and those after it, given those before.

        All of them at once: for looking at a few captions, not for training.
        """
        hidden = self._caption_states(self._encode_image(images)[1], self._encode_text(tokens)[1])
        logits: Tensor = hidden @ self.text_decoder.text_projection
        return logits

    def _trimmed(self, tokens: Tensor) -> Tensor:
        # The first token of padding stays: the class token may see it.
        return without_padding(tokens, beyond=1) if self.trim_captions else tokens

    def _encode_text(self, tokens: Tensor, normalize: bool = True) -> tuple[Tensor, Tensor]:
        """The class token's feature (N, W), and the tower's outputs at the tokens (N, T, W)."""
        text, (count, length) = self.text, tokens.shape
        x = cat([text.token_embedding(tokens), text.cls_emb.expand(count, 1, -1)], dim=1)
        x = x + cat([text.positional_embedding[:length], text.positional_embedding[-1:]])
        causal = text.attn_mask[: length + 1, : length + 1]
        mask = causal + text._build_additive_mask(tokens, length + 1, x.dtype)
        x = text.transformer(x, attn_mask=mask)
        feature = text.ln_final(x[:, -1]) @ text.text_projection
        return functional.normalize(feature, dim=-1) if normalize else feature, x[:, :-1]

    def _caption_states(self, image_tokens_BPW: Tensor, states_NTW: Tensor) -> Tensor:
        """Normalised outputs (N, T - 1, W) of the captioner, to which the head applies.

        Cross-attention has no mask, so that captions of one image attend to it side by side, and
        its keys are computed once.
        """
        decoder, x = self.text_decoder, states_NTW[:, :-1]
        mask = decoder.attn_mask[: x.shape[1], : x.shape[1]]
        for block, cross_attention in zip(decoder.resblocks, decoder.cross_attn, strict=True):
            x = block(x, attn_mask=mask)
            by_image = x.reshape(len(image_tokens_BPW), -1, x.shape[-1])
            by_image = cross_attention(by_image, k_x=image_tokens_BPW, v_x=image_tokens_BPW)
            x = by_image.reshape(x.shape)
        normalised: Tensor = decoder.ln_final(x)
        return normalised
