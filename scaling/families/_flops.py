"""Parameters and forward FLOPs in closed form, without building anything.

FLOPs are 2 per multiply-add of every matrix product and convolution, for one image and one caption
of full context length. The score products of attention (queries x keys, weights x values) are
counted apart: the reference study's figures leave them out, presumably because its counter did not
know the fused kernel. Norms, activations, embedding look-ups and the loss are not counted.
"""

from dataclasses import replace
from typing import NamedTuple

from scaling.families import Profile
from scaling.families._towers import ViTConfig

_MLP_RATIO = 4


class _Cost(NamedTuple):
    """FLOPs of a forward pass: of weights (linear layers, convolution) and of attention scores."""

    weights: int
    scores: int


def clip_profile(config: ViTConfig) -> Profile:
    """Profile of CLIP: an image tower, a causal text tower, one linear projection each."""
    image, text = _vision_cost(config), _text_cost(config, config.context_length)
    image_params = _vision_params(config)
    text_params = _text_params(config, config.context_length)
    return _profile(
        params=image_params + text_params + 1,  # the logit scale
        image_params=image_params,
        text_params=text_params,
        lean=_sum(image, text),
    )


def siglip_profile(config: ViTConfig) -> Profile:
    """Profile of SigLIP: that of CLIP and a logit bias."""
    profile = clip_profile(config)
    return replace(profile, params=profile.params + 1)


def coca_profile(config: ViTConfig) -> Profile:
    """Profile of CoCa: an image tower that ends in attention, a text tower, a captioner on both.

    The captioner reads the text tower's output at every token but the last (the class token is the
    text's feature). The reference code runs the text tower twice; `published_gflops` counts both
    passes, the other two count one.
    """
    positions = config.context_length + 1  # the class token
    trunk = _vision_cost(config, pooled_width=config.embed_dim)
    image, text = _sum(trunk, _pooler_cost(config)), _text_cost(config, positions)
    captioner = _coca_captioner_cost(config, config.context_length - 1)
    image_params = _vision_params(config, pooled_width=config.embed_dim) + _pooler_params(config)
    text_params = _text_params(config, positions) + config.text_width
    return _profile(
        params=image_params + text_params + _coca_captioner_params(config) + 1,
        image_params=image_params,
        text_params=text_params,
        lean=_sum(image, text, captioner),
        wasted=text.weights,
    )


def mammut_profile(config: ViTConfig) -> Profile:
    """Profile of MaMMUT: an image tower and a decoder that runs twice.

    The reference code computes vocabulary logits in the contrastive pass as well and throws them
    away; `published_gflops` counts them, the other two do not.
    """
    contrastive = _decoder_cost(config, config.context_length, sees_image=False)
    return _mammut_profile(
        config,
        lean=_sum(_vision_cost(config), contrastive, _mammut_captioner_cost(config)),
        wasted=_head_flops(config, config.context_length),
    )


def cap_profile(config: ViTConfig) -> Profile:
    """Profile of Cap: the network of MaMMUT, whose decoder runs for captions only.

    It has no published figure; `published_gflops` is what the reference code's profiler counts.
    """
    return _mammut_profile(
        config, lean=_sum(_vision_cost(config), _mammut_captioner_cost(config)), wasted=0
    )


def _mammut_profile(config: ViTConfig, *, lean: _Cost, wasted: int) -> Profile:
    image_params, text_params = _vision_params(config), _decoder_params(config)
    mapping = config.vision_width * config.text_width  # map_viz2txt_kv
    return _profile(
        params=image_params + text_params + mapping + 1,
        image_params=image_params,
        text_params=text_params,
        lean=lean,
        wasted=wasted,
    )


def _profile(
    *, params: int, image_params: int, text_params: int, lean: _Cost, wasted: int = 0
) -> Profile:
    """`wasted` FLOPs are those that only the reference code computes."""
    return Profile(
        params=params,
        image_params=image_params,
        text_params=text_params,
        published_gflops=(lean.weights + wasted) / 1e9,
        lean_gflops=lean.weights / 1e9,
        full_gflops=(lean.weights + lean.scores) / 1e9,
    )


def _sum(*costs: _Cost) -> _Cost:
    return _Cost(sum(cost.weights for cost in costs), sum(cost.scores for cost in costs))


def _vision_cost(config: ViTConfig, pooled_width: int | None = None) -> _Cost:
    """The image tower; `pooled_width` if what it projects is not as wide as itself."""
    tokens, width = config.image_tokens, config.vision_width
    patchify = 2 * 3 * config.patch_size**2 * width * config.patches
    projection = 2 * (pooled_width or width) * config.embed_dim
    blocks = _blocks_cost(config.vision_layers, tokens, width)
    return _Cost(patchify + blocks.weights + projection, blocks.scores)


def _text_cost(config: ViTConfig, positions: int) -> _Cost:
    blocks = _blocks_cost(config.text_layers, positions, config.text_width)
    return _Cost(blocks.weights + 2 * config.text_width * config.embed_dim, blocks.scores)


def _pooler_cost(config: ViTConfig) -> _Cost:
    """Attention of learned queries; keys and values are mapped to the embedding's width."""
    queries, tokens, width = config.pooler_queries, config.image_tokens, config.embed_dim
    query_and_output = 2 * 2 * queries * width**2
    keys_and_values = 2 * 2 * tokens * config.vision_width * width
    return _Cost(query_and_output + keys_and_values, _score_flops(queries, tokens, width))


def _coca_captioner_cost(config: ViTConfig, tokens: int) -> _Cost:
    """Every layer is followed by cross-attention to all pooled tokens but the first."""
    own = _blocks_cost(config.text_layers, tokens, config.text_width)
    crossed = _crossed_cost(
        config.text_layers, tokens, config.pooler_queries - 1, config.text_width
    )
    return _sum(own, crossed, _Cost(_head_flops(config, tokens), 0))


def _mammut_captioner_cost(config: ViTConfig) -> _Cost:
    """The captioning pass: image tokens to the decoder's width, its blocks, its head."""
    tokens = config.context_length - 1
    mapping = 2 * config.image_tokens * config.vision_width * config.text_width
    decoder = _decoder_cost(config, tokens, sees_image=True)
    return _sum(decoder, _Cost(mapping + _head_flops(config, tokens), 0))


def _decoder_cost(config: ViTConfig, tokens: int, *, sees_image: bool) -> _Cost:
    """One pass over the blocks of MaMMUT's decoder, without its vocabulary head."""
    width, crossed = config.text_width, len(config.cross_attention_layers)
    blocks = _blocks_cost(config.text_layers, tokens, width)
    missing_mlps = 0 if config.has_mlp else crossed * _mlp_flops(tokens, width)
    own = _Cost(blocks.weights - missing_mlps, blocks.scores)
    return (
        _sum(own, _crossed_cost(crossed, tokens, config.image_tokens, width))
        if sees_image
        else own
    )


def _blocks_cost(layers: int, tokens: int, width: int) -> _Cost:
    """Blocks of self-attention and an MLP."""
    return _crossed_cost(layers, tokens, tokens, width)


def _crossed_cost(layers: int, tokens: int, keys: int, width: int) -> _Cost:
    """Blocks of attention to `keys` tokens and an MLP."""
    weights = _attention_flops(tokens, keys, width) + _mlp_flops(tokens, width)
    return _Cost(layers * weights, layers * _score_flops(tokens, keys, width))


def _head_flops(config: ViTConfig, tokens: int) -> int:
    """Vocabulary logits of `tokens` tokens."""
    return 2 * tokens * config.text_width * config.vocab_size


def _attention_flops(queries: int, keys: int, width: int) -> int:
    """Queries and output over `queries` tokens, keys and values over `keys` tokens."""
    return 2 * (2 * queries + 2 * keys) * width**2


def _mlp_flops(tokens: int, width: int) -> int:
    return 2 * tokens * 2 * _MLP_RATIO * width**2


def _score_flops(queries: int, keys: int, width: int) -> int:
    """Queries x keys and weights x values; a causal mask saves nothing in this counting."""
    return 2 * 2 * queries * keys * width


def _vision_params(config: ViTConfig, pooled_width: int | None = None) -> int:
    """The image tower; `pooled_width` if what it projects is not as wide as itself."""
    width = config.vision_width
    pooled = pooled_width or width
    patchify = 3 * config.patch_size**2 * width
    positions = config.image_tokens * width
    layer_scale = 0 if config.vision_layer_scale is None else 2 * width
    blocks = config.vision_layers * (_block_params(width) + layer_scale)
    class_token, norms = width, _norm_params(width) + _norm_params(pooled)
    return patchify + class_token + positions + norms + blocks + pooled * config.embed_dim


def _text_params(config: ViTConfig, positions: int) -> int:
    width = config.text_width
    embeddings = (config.vocab_size + positions) * width
    blocks = config.text_layers * _block_params(width)
    return embeddings + blocks + _norm_params(width) + width * config.embed_dim


def _pooler_params(config: ViTConfig) -> int:
    width, keys_width = config.embed_dim, config.vision_width
    attention = 2 * (width**2 + width) + 2 * (keys_width * width + width)
    norms = _norm_params(width) + _norm_params(keys_width)
    return config.pooler_queries * width + attention + norms


def _coca_captioner_params(config: ViTConfig) -> int:
    width = config.text_width
    layer = 2 * _block_params(width) + _norm_params(width)
    return config.text_layers * layer + _norm_params(width) + width * config.vocab_size


def _decoder_params(config: ViTConfig) -> int:
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
