"""Shards with smaller pictures: what a training run decodes again and again, decoded once."""

import io
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from scaling.datasets._shard_tools.check import reason
from scaling.datasets._shard_tools.encoding import encode
from scaling.datasets._shard_tools.writing import Sample, new_shard, statistics_of
from scaling.datasets._webdataset.decoding import UNREADABLE
from scaling.datasets._webdataset.index import Tar
from scaling.datasets._webdataset.selection import IMAGES, Group
from scaling.datasets._webdataset.shards import Shard, find_shards
from scaling.errors import DataError

LossyFormat = Literal["jpg", "webp"]


@dataclass(frozen=True)
class Repacking:
    """A shard and what becomes of it."""

    source: Path
    target: Path
    size: int
    """The shorter side of pictures that are larger, in pixels."""
    format: LossyFormat
    quality: int


@dataclass(frozen=True)
class Repacked:
    """What became of one shard."""

    shard: Path
    samples: int
    """Written."""
    shrunk: int
    """Of those, with a picture that was larger; the others are as they were."""
    skipped: tuple[tuple[str, str], ...]
    """Keys of samples that were left out, and why."""
    was_there: bool


def plan_repacking(
    sources: Sequence[Path], folder: Path, *, size: int, form: LossyFormat, quality: int
) -> list[Repacking]:
    """One `Repacking` a shard, into `folder` under its name.

    Raises `DataError` if a shard is missing, or if two would have the same name.
    """
    find_shards(sources)
    names: dict[str, Path] = {}
    for source in sources:
        if source.name in names:
            raise DataError(
                f"{names[source.name]} and {source} would both be {folder / source.name}; repack "
                "them into a folder each"
            )
        if source.resolve() == (folder / source.name).resolve():
            raise DataError(f"{source} would be written over itself; choose another folder")
        names[source.name] = source
    return [Repacking(source, folder / source.name, size, form, quality) for source in sources]


def repack(what: Repacking) -> Repacked:
    """Write a shard anew, unless that was done before.

    Keeps every file of a sample but its picture, byte for byte; and the picture, too, if its
    shorter side is not above `size`. Raises `DataError` if the shard cannot be read or written.
    """
    (shard,) = find_shards([what.source])
    made_of = _made_of(what, shard)
    statistics = statistics_of(what.target, made_of)
    if statistics is not None:
        return _repacked(what.target, statistics, was_there=True)
    tar, skipped = Tar(shard), []
    counts = {"samples": 0, "shrunk": 0}
    with new_shard(what.target, made_of) as writer, warnings.catch_warnings():
        # Pillow warns of odd metadata, thousands of times in a large set.
        warnings.simplefilter("ignore")
        for group in _groups(tar):
            try:
                sample, is_shrunk = _smaller(shard, group, what)
            except UNREADABLE as error:
                skipped.append((group.key, reason(error)))
                continue
            writer.add(sample)
            counts["samples"] += 1
            counts["shrunk"] += is_shrunk
        if tar.damage is not None:
            skipped.append(("", f"{shard}: the tar is damaged {tar.damage}"))
        writer.statistics |= {**counts, "skipped": skipped}
    return _repacked(what.target, writer.statistics, was_there=False)


def _made_of(what: Repacking, shard: Shard) -> dict[str, Any]:
    return {
        "source": str(what.source.resolve()),
        "source_bytes": shard.size,
        "source_modified": shard.modified,
        "size": what.size,
        "format": what.format,
        "quality": what.quality,
    }


def _repacked(target: Path, statistics: dict[str, Any], *, was_there: bool) -> Repacked:
    return Repacked(
        shard=target,
        samples=statistics["samples"],
        shrunk=statistics["shrunk"],
        skipped=tuple((key, reason) for key, reason in statistics["skipped"]),
        was_there=was_there,
    )


def _groups(tar: Tar) -> Iterator[Group]:
    try:
        yield from tar.groups(with_json=False)
    except OSError as error:
        raise DataError(f"{tar.shard}: cannot be read: {error}") from error
    if tar.damage is not None and tar.damage.offset == 0:
        raise DataError(f"{tar.shard}: cannot be read as an uncompressed tar file: {tar.damage}")


def _smaller(shard: Shard, group: Group, what: Repacking) -> tuple[Sample, bool]:
    """The sample, and whether its picture is another; raises `UNREADABLE` if it is broken."""
    suffix = next((suffix for suffix in IMAGES if suffix in group.files), None)
    if suffix is None:
        raise ValueError("no image")
    files = {name: shard.read(extent) for name, extent in group.files.items()}
    with Image.open(io.BytesIO(files[suffix])) as image:
        picture = image.convert("RGB")
    shorter = min(picture.size)
    if shorter <= what.size:
        return Sample(group.key, files), False
    width, height = (round(side * what.size / shorter) for side in picture.size)
    resized = picture.resize((width, height), Image.Resampling.BICUBIC)
    del files[suffix]
    files[what.format] = encode(resized, what.format, quality=what.quality)
    return Sample(group.key, files), True
