"""Captions to token ids: one function, the tokenizer chosen by the model's configuration."""

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from scaling.errors import DataError, unknown
from scaling.families._towers import ModelConfig
from scaling.vocabulary import END, START, WORD_IDS

if TYPE_CHECKING:
    from numpy.typing import NDArray

PAD_ID = 0
"""Fills a caption up to the context length. In CLIP's vocabulary 0 is also '!', as published."""


def tokenize(captions: Sequence[str], config: ModelConfig) -> "NDArray[np.int64]":
    """Token ids (count, context_length): start, words, end, padding.

    The end token has the highest id of its vocabulary: CLIP pools the text there, by argmax. A
    caption that is too long loses its last words, never its end token.
    """
    if config.tokenizer == "clip":
        tokens: NDArray[np.int64] = _clip_tokenizer()(
            list(captions), context_length=config.context_length
        ).numpy()
        return tokens
    tokens = np.full((len(captions), config.context_length), PAD_ID, dtype=np.int64)
    for row, caption in zip(tokens, captions, strict=True):
        ids = _word_ids(caption)[: config.context_length - 1]
        row[: len(ids)] = ids
        row[len(ids)] = WORD_IDS[END]
    return tokens


@cache
def _clip_tokenizer() -> Any:
    from open_clip.tokenizer import SimpleTokenizer

    return SimpleTokenizer()


def _word_ids(caption: str) -> list[int]:
    try:
        return [WORD_IDS[START], *map(WORD_IDS.__getitem__, caption.split())]
    except KeyError as missing:
        word = str(missing.args[0])
        raise DataError(
            f"caption {caption!r}: {unknown('word', word, WORD_IDS)}; models with the 'shapes' "
            "tokenizer read captions of `kind: shapes` only"
        ) from None
