"""One caption of several: which one is seen at a position."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from scaling.datasets._webdataset.options import JsonCaptions


def captions_in(fields: Mapping[str, Any], key: str) -> list[str]:
    """The captions under a key of a sample's json, a text or a list of texts, but empty ones."""
    value = fields.get(key)
    texts = value if isinstance(value, list) else [value]
    return [text.strip() for text in texts if isinstance(text, str) and text.strip()]


def choose_caption(
    fields: Mapping[str, Any], captions: JsonCaptions, turn: int, generator: np.random.Generator
) -> str:
    """The caption that `captions.choice` gives; `turn` counts how often it was asked before.

    Raises `ValueError` if the sample has none.
    """
    by_key = [captions_in(fields, key) for key in captions.keys]
    texts = [text for found in by_key for text in found]
    if not texts:
        raise ValueError(f"no caption in {' or '.join(captions.keys)}")
    if captions.choice == "first":
        return texts[0]
    if captions.choice == "alternate":
        return texts[turn % len(texts)]
    weights = captions.weights or (1.0,) * len(by_key)
    shares = np.array([w if found else 0.0 for w, found in zip(weights, by_key, strict=True)])
    found = by_key[int(generator.choice(len(by_key), p=shares / shares.sum()))]
    return found[int(generator.integers(len(found)))]
