"""Every sample of a shard looked at: what it holds, and what of it cannot be trained on."""

import io
import json
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from scaling.datasets._webdataset.captions import captions_in
from scaling.datasets._webdataset.decoding import UNREADABLE
from scaling.datasets._webdataset.index import Tar
from scaling.datasets._webdataset.selection import IMAGES
from scaling.datasets._webdataset.shards import Extent, Shard, find_shards


@dataclass(frozen=True)
class Look:
    """A shard to look at, and at what."""

    shard: Path
    caption_key: str | None = None
    """Captions are under this key of the json; without it in the txt."""
    tokens: bool = False
    """Count the tokens of captions, as CLIP does."""


@dataclass
class ShardReport:
    """What is in one shard."""

    shard: Path
    samples: int = 0
    formats: Counter[str] = field(default_factory=Counter)
    """Of the pictures that can be decoded, whatever their suffix says."""
    shorter_sides: Counter[int] = field(default_factory=Counter)
    longer_sides: Counter[int] = field(default_factory=Counter)
    """In pixels."""
    words: Counter[int] = field(default_factory=Counter)
    """How many captions have so many words; empty ones have none."""
    tokens: Counter[int] = field(default_factory=Counter)
    """How many have so many tokens, start and end included, if those were to be counted."""
    without_image: list[str] = field(default_factory=list)
    without_caption: list[str] = field(default_factory=list)
    broken: list[tuple[str, str]] = field(default_factory=list)
    """Keys of samples that cannot be read, and why."""
    damage: str = ""
    """Where the tar is damaged, if it is; what comes after was not seen."""
    keys: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))
    """A digest of every key."""


def look_at(look: Look) -> ShardReport:
    """Read every sample of a shard that is here."""
    report = ShardReport(look.shard)
    (shard,) = find_shards([look.shard])
    tar = Tar(shard)
    digests = []
    with warnings.catch_warnings():
        # Pillow warns of odd metadata, thousands of times in a large set.
        warnings.simplefilter("ignore")
        try:
            for group in tar.groups(with_json=False):
                report.samples += 1
                digests.append(digest(group.key))
                _look_at_sample(report, shard, group.key, group.files, look)
        except OSError as error:
            report.damage = f"cannot be read: {error}"
    report.keys = np.array(digests, np.uint64)
    report.damage = report.damage or str(tar.damage or "")
    return report


def digest(key: str) -> int:
    """64 bits of a key: among a billion keys, two that differ collide with probability 0.03."""
    name = key.encode("utf-8", "surrogateescape")
    return int.from_bytes(blake2b(name, digest_size=8).digest(), "big")


def reason(error: Exception) -> str:
    """Why a sample is broken, by one of `UNREADABLE`."""
    if isinstance(error, UnidentifiedImageError):
        return "not a picture"  # Pillow's own words name an address in memory.
    return str(error) or type(error).__name__


def _look_at_sample(
    report: ShardReport, shard: Shard, key: str, files: Mapping[str, Extent], look: Look
) -> None:
    image = next((files[suffix] for suffix in IMAGES if suffix in files), None)
    caption = files.get("json" if look.caption_key else "txt")
    if image is None:
        report.without_image.append(key)
    if caption is None:
        report.without_caption.append(key)
    try:
        if image is not None:
            _look_at_picture(report, shard.read(image))
        if caption is not None:
            _look_at_captions(report, shard.read(caption).decode(), key, look)
    except UNREADABLE as error:
        report.broken.append((key, reason(error)))


def _look_at_picture(report: ShardReport, encoded: bytes) -> None:
    with Image.open(io.BytesIO(encoded)) as image:
        image.convert("RGB")
        report.formats[(image.format or "unknown").lower()] += 1
        report.shorter_sides[min(image.size)] += 1
        report.longer_sides[max(image.size)] += 1


def _look_at_captions(report: ShardReport, text: str, key: str, look: Look) -> None:
    captions = [text.strip()]
    if look.caption_key:
        fields = json.loads(text)
        captions = captions_in(fields, look.caption_key) if isinstance(fields, dict) else []
        if not captions:
            report.without_caption.append(key)
    report.words.update(len(caption.split()) for caption in captions)
    if look.tokens:
        report.tokens.update(2 + len(_clip_tokenizer().encode(caption)) for caption in captions)


@cache
def _clip_tokenizer() -> Any:
    from open_clip.tokenizer import SimpleTokenizer

    return SimpleTokenizer()
