"""Parameters and forward FLOPs in closed form, without building anything.

FLOPs are 2 per multiply-add of every matrix product and convolution, for one image and one caption
of full context length. The score products of attention (queries x keys, weights x values) are
counted apart: the reference study's figures leave them out, presumably because its counter did not
know the fused kernel. Norms, activations, embedding look-ups and the loss are not counted.
"""

from typing import NamedTuple

from scaling.families import Profile
from scaling.families._towers import ModelConfig

_MLP_RATIO = 4


class _Cost(NamedTuple):
    """FLOPs of a forward pass: of weights (linear layers, convolution) and of attention scores."""

    weights: int
    scores: int


def clip_profile(config: ModelConfig) -> Profile:
    """Profile of CLIP: an image tower, a causal text tower, one linear projection each."""
    image, text = _vision_cost(config), _clip_text_cost(config)
    image_params, text_params = _vision_params(config), _clip_text_params(config)
    weights = image.weights + text.weights
    return Profile(
        params=image_params + text_params + 1,  # the logit scale
        image_params=image_params,
        text_params=text_params,
        published_gflops=weights / 1e9,
        lean_gflops=weights / 1e9,
        full_gflops=(weights + image.scores + text.scores) / 1e9,
    )


def mammut_profile(config: ModelConfig) -> Profile:
    """Profile of MaMMUT: an image tower and a decoder that runs twice.

    The reference code computes vocabulary logits in the contrastive pass as well and throws them
    away; `published_gflops` counts them, the other two do not.
    """
    image = _vision_cost(config)
    contrastive = _decoder_cost(config, config.context_length, sees_image=False)
    captioning = _decoder_cost(config, config.context_length - 1, sees_image=True)
    head = 2 * config.text_width * config.vocab_size
    weights = (
        image.weights
        + contrastive.weights
        + captioning.weights
        + 2 * config.image_tokens * config.vision_width * config.text_width  # map_viz2txt_kv
        + (config.context_length - 1) * head
    )
    scores = image.scores + contrastive.scores + captioning.scores
    image_params, text_params = _vision_params(config), _decoder_params(config)
    return Profile(
        params=image_params + text_params + config.vision_width * config.text_width + 1,
        image_params=image_params,
        text_params=text_params,
        published_gflops=(weights + config.context_length * head) / 1e9,
        lean_gflops=weights / 1e9,
        full_gflops=(weights + scores) / 1e9,
    )


def _vision_cost(config: ModelConfig) -> _Cost:
    tokens, width = config.image_tokens, config.vision_width
    patchify = 2 * 3 * config.patch_size**2 * width * config.patches
    projection = 2 * width * config.embed_dim
    blocks = config.vision_layers * (
        _attention_flops(tokens, tokens, width) + _mlp_flops(tokens, width)
    )
    scores = config.vision_layers * _score_flops(tokens, tokens, width)
    return _Cost(patchify + blocks + projection, scores)


def _clip_text_cost(config: ModelConfig) -> _Cost:
    tokens, width = config.context_length, config.text_width
    blocks = config.text_layers * (
        _attention_flops(tokens, tokens, width) + _mlp_flops(tokens, width)
    )
    scores = config.text_layers * _score_flops(tokens, tokens, width)
    return _Cost(blocks + 2 * width * config.embed_dim, scores)


def _decoder_cost(config: ModelConfig, tokens: int, *, sees_image: bool) -> _Cost:
    """One pass over the decoder's blocks, without its vocabulary head."""
    width, crossed = config.text_width, len(config.cross_attention_layers)
    mlps = config.text_layers - (0 if config.has_mlp else crossed)
    weights = config.text_layers * _attention_flops(tokens, tokens, width)
    weights += mlps * _mlp_flops(tokens, width)
    scores = config.text_layers * _score_flops(tokens, tokens, width)
    if sees_image:
        weights += crossed * _attention_flops(tokens, config.image_tokens, width)
        weights += crossed * _mlp_flops(tokens, width)
        scores += crossed * _score_flops(tokens, config.image_tokens, width)
    return _Cost(weights, scores)


def _attention_flops(queries: int, keys: int, width: int) -> int:
    """Queries and output over `queries` tokens, keys and values over `keys` tokens."""
    return 2 * (2 * queries + 2 * keys) * width**2


def _mlp_flops(tokens: int, width: int) -> int:
    return 2 * tokens * 2 * _MLP_RATIO * width**2


def _score_flops(queries: int, keys: int, width: int) -> int:
    """Queries x keys and weights x values; a causal mask saves nothing in this counting."""
    return 2 * 2 * queries * keys * width


def _vision_params(config: ModelConfig) -> int:
    width = config.vision_width
    patchify = 3 * config.patch_size**2 * width
    positions = config.image_tokens * width
    layer_scale = 0 if config.vision_layer_scale is None else 2 * width
    blocks = config.vision_layers * (_block_params(width) + layer_scale)
    class_token, norms = width, 2 * _norm_params(width)
    return patchify + class_token + positions + norms + blocks + width * config.embed_dim


def _clip_text_params(config: ModelConfig) -> int:
    width = config.text_width
    embeddings = (config.vocab_size + config.context_length) * width
    blocks = config.text_layers * _block_params(width)
    return embeddings + blocks + _norm_params(width) + width * config.embed_dim


def _decoder_params(config: ModelConfig) -> int:
    width, crossed = config.text_width, len(config.cross_attention_layers)
    embeddings = (config.vocab_size + config.context_length) * width
    head = width * config.vocab_size
    blocks = (config.text_layers + crossed) * _block_params(width)
    blocks += crossed * _norm_params(width)  # the norm of cross-attention's keys and values
    if not config.has_mlp:
        blocks -= crossed * (_mlp_params(width) + _norm_params(width))
    return embeddings + blocks + _norm_params(width) + head


def _block_params(width: int) -> int:
    attention = 4 * (width**2 + width)
    return attention + _mlp_params(width) + 2 * _norm_params(width)


def _mlp_params(width: int) -> int:
    hidden = _MLP_RATIO * width
    return 2 * width * hidden + hidden + width


def _norm_params(width: int) -> int:
    return 2 * width
