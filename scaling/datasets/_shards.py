"""Local webdataset shards: which samples a tar file holds, and where.

Files of a tar belong together if their names are equal up to the first dot of the last path
component (webdataset's rule). Reading any sample at any time, which exact resume needs, is what
the webdataset library's streams cannot do; an index of positions can.
"""

import logging
import tarfile
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from braceexpand import braceexpand

from scaling.errors import DataError

logger = logging.getLogger(__name__)

_IMAGES = ("jpg", "jpeg", "png", "webp")
_CAPTION = "txt"


class Extent(NamedTuple):
    """Where a file lies in a tar."""

    offset: int
    bytes: int


class ShardSample(NamedTuple):
    """An image with its caption in a shard."""

    key: str
    image: Extent
    caption: Extent


def expand(patterns: str | Sequence[str]) -> list[Path]:
    """Every shard that patterns such as `data/{0000..0999}.tar` name, in order."""
    listed = [patterns] if isinstance(patterns, str) else patterns
    try:
        return [Path(path).expanduser() for pattern in listed for path in braceexpand(pattern)]
    except ValueError as error:
        raise DataError(f"shards: {listed}: {error}") from error


def check_shards(shards: Sequence[Path]) -> None:
    """Raise `DataError` if a shard is not here, naming the first few that are not."""
    missing = [shard for shard in shards if not shard.is_file()]
    if missing:
        names = ", ".join(str(shard) for shard in missing[:5])
        more = f" and {len(missing) - 5:,} more" if len(missing) > 5 else ""
        raise DataError(f"missing {len(missing):,} of {len(shards):,} shards: {names}{more}")


@lru_cache(maxsize=4096)
def index_shard(shard: Path) -> tuple[ShardSample, ...]:
    """The samples of a shard, in its order; what lacks an image or a caption is left out."""
    try:
        groups = list(_grouped(shard))
    except (tarfile.TarError, OSError) as error:
        raise DataError(f"{shard}: cannot be read as an uncompressed tar file: {error}") from error
    samples = []
    for key, files in groups:
        image = next((files[suffix] for suffix in _IMAGES if suffix in files), None)
        if image is not None and _CAPTION in files:
            samples.append(ShardSample(key, image, files[_CAPTION]))
    if len(samples) < len(groups):
        logger.warning(
            "%s: %d of %d samples lack an image or a caption and are left out",
            shard,
            len(groups) - len(samples),
            len(groups),
        )
    return tuple(samples)


def _grouped(shard: Path) -> Iterator[tuple[str, dict[str, Extent]]]:
    current: str | None = None
    files: dict[str, Extent] = {}
    with tarfile.open(shard, "r:") as tar:
        for member in tar:
            folder, _, name = member.name.rpartition("/")
            stem, dot, suffix = name.partition(".")
            if not (member.isfile() and stem and dot):
                continue
            key = f"{folder}/{stem}" if folder else stem
            if key != current:
                if current is not None:
                    yield current, files
                current, files = key, {}
            files[suffix.lower()] = Extent(member.offset_data, member.size)
    if current is not None:
        yield current, files
