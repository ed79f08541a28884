"""The samples of a set: where their pictures are, and what is true of them.

A shard is walked by its headers (`scaling.datasets._webdataset`): unlike a stream of the
webdataset library, that names the sample at fault, finds damage, and lets any number of threads
read pictures in the same order.
"""

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scaling.datasets._webdataset.index import Tar
from scaling.datasets._webdataset.selection import IMAGES, Group
from scaling.datasets._webdataset.shards import Extent, Shard
from scaling.errors import DataError
from scaling.evaluation_sets import Batch
from scaling.evaluation_sets._webdataset.options import SampleTruth

_SUFFIX: Mapping[SampleTruth, str] = {
    "labels": "cls",
    "multilabel": "npy",
    "captions": "txt",
    "choices": "txt",
    "attributes": "npy",
}
_SHARDS_KEPT = 1024
_NAMES = "surrogateescape"
"""Names in a tar are bytes; see `scaling.datasets._webdataset.tar`."""

Columns = tuple[tuple[str, int], ...]
"""Names of elements of a sample's npy, and their positions."""


@dataclass(frozen=True)
class ShardSamples:
    """All samples of a shard, in its order."""

    shard: Shard
    keys: tuple[str, ...]
    pictures: tuple[Extent, ...]
    truths: Batch
    """`images` is empty."""
    digest: str
    """Of names, lengths and truths; not of pictures' pixels."""

    def __len__(self) -> int:
        return len(self.keys)


class _Sample(NamedTuple):
    where: str
    """Shard and key, for messages."""
    key: str
    suffix: str
    picture: Extent
    truth: bytes
    numbers: bytes
    """The content of its npy, if metadata is asked for."""


@lru_cache(maxsize=_SHARDS_KEPT)
def samples_of(
    shard: Shard, truth: SampleTruth, classes: int, columns: Columns = ()
) -> ShardSamples:
    """What a shard holds; raises `DataError` if it is damaged or a sample is not whole."""
    with_numbers = bool(columns)
    samples = [_sample(shard, group, truth, with_numbers=with_numbers) for group in _groups(shard)]
    truths = _truths(samples, truth, classes)
    return ShardSamples(
        shard,
        keys=tuple(sample.key for sample in samples),
        pictures=tuple(sample.picture for sample in samples),
        truths=truths._replace(metadata=_metadata(samples, columns)) if columns else truths,
        digest=_digest(samples),
    )


def _groups(shard: Shard) -> list[Group]:
    tar = Tar(shard)
    try:
        groups = list(tar.groups(with_json=False))
    except OSError as error:
        raise DataError(f"{shard}: cannot be read: {error.strerror}") from error
    if tar.damage is not None:
        raise DataError(f"{shard}: is damaged or no tar file: {tar.damage}")
    return groups


def _sample(shard: Shard, group: Group, truth: SampleTruth, *, with_numbers: bool) -> _Sample:
    where = f"{shard}: {group.key}"
    suffix, extent = _picture(group, where)
    return _Sample(
        where,
        group.key,
        suffix,
        extent,
        _content(shard, group, _SUFFIX[truth], where),
        _content(shard, group, "npy", where) if with_numbers else b"",
    )


def _digest(samples: list[_Sample]) -> str:
    digest = hashlib.sha256()
    for sample in samples:
        lengths = [sample.picture.bytes, len(sample.truth), len(sample.numbers)]
        digest.update(f"{sample.key}\0{sample.suffix}\0{lengths}\0".encode(errors=_NAMES))
        digest.update(sample.truth + sample.numbers)
    return digest.hexdigest()


def _picture(group: Group, where: str) -> tuple[str, Extent]:
    found = [suffix for suffix in IMAGES if suffix in group.files]
    if len(found) != 1:
        has = ", ".join(f".{suffix}" for suffix in group.files)
        raise DataError(f"{where}: needs one picture (.{', .'.join(IMAGES)}), and has {has}")
    return found[0], group.files[found[0]]


def _content(shard: Shard, group: Group, suffix: str, where: str) -> bytes:
    if suffix not in group.files:
        has = ", ".join(f".{its}" for its in group.files)
        raise DataError(f"{where}: has no .{suffix} (it has {has})")
    return shard.read(group.files[suffix])


def _truths(samples: list[_Sample], truth: SampleTruth, classes: int) -> Batch:
    none = np.empty((0, 0, 0, 3), np.uint8)
    if truth == "attributes":
        return Batch(none)
    contents = [(sample.truth, sample.where) for sample in samples]
    if truth in ("captions", "choices"):
        least = 2 if truth == "choices" else 1
        return Batch(none, captions=tuple(_captions(*content, least) for content in contents))
    if truth == "labels":
        labels = [_label(*content, classes) for content in contents]
        return Batch(none, labels=np.array(labels, np.int64))
    rows = [_several_labels(*content, classes) for content in contents]
    return Batch(none, labels=np.array(rows, np.int64).reshape(-1, classes))


def _label(content: bytes, where: str, classes: int) -> int:
    try:
        label = int(content)
    except ValueError:
        raise DataError(f"{where}.cls: {content[:20]!r} is not the number of a class") from None
    if not 0 <= label < classes:
        raise DataError(
            f"{where}.cls: class {label}, but classnames.txt names {classes} (0 to {classes - 1})"
        )
    return label


def _several_labels(content: bytes, where: str, classes: int) -> NDArray[np.int64]:
    row = _whole(_elements(content, where), where)
    if len(row) != classes:
        raise DataError(
            f"{where}.npy: has {len(row)} elements, but classnames.txt names {classes} classes"
        )
    if not np.isin(row, (0, 1)).all():
        raise DataError(f"{where}.npy: has elements other than 0 and 1")
    return row


def _captions(content: bytes, where: str, least: int) -> tuple[str, ...]:
    try:
        lines = content.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{where}.txt: is not text in UTF-8: {error}") from error
    captions = tuple(line for line in lines if line.strip())
    if not captions:
        raise DataError(f"{where}.txt: has no caption")
    if len(captions) < least:
        raise DataError(f"{where}.txt: has one text, which leaves nothing to choose")
    return captions


def _metadata(samples: list[_Sample], columns: Columns) -> dict[str, NDArray[np.int64]]:
    rows = []
    for sample in samples:
        row = _elements(sample.numbers, sample.where)
        for name, position in columns:
            if position >= len(row):
                raise DataError(
                    f"{sample.where}.npy: {name} is element {position}, but there are {len(row)}"
                )
        rows.append(_whole(row[[position for _, position in columns]], sample.where))
    table = np.array(rows, np.int64).reshape(-1, len(columns))
    return {name: table[:, number] for number, (name, _) in enumerate(columns)}


def _elements(content: bytes, where: str) -> NDArray[Any]:
    """The elements of an array in numpy's format, whatever its shape."""
    try:
        array: NDArray[Any] = np.load(io.BytesIO(content), allow_pickle=False).reshape(-1)
    except (ValueError, AttributeError, OSError, EOFError) as error:
        raise DataError(f"{where}.npy: is not an array of numbers: {error}") from error
    return array


def _whole(array: NDArray[Any], where: str) -> NDArray[np.int64]:
    """`array` as integers, which is what its elements have to be."""
    if array.dtype.kind not in "biuf":
        raise DataError(f"{where}.npy: is not an array of numbers: it is of {array.dtype}")
    # What is not finite, or too large, would be some integer.
    is_whole = np.isfinite(array) & (abs(array) < 2**53) & (array == np.round(array))
    if not is_whole.all():
        raise DataError(f"{where}.npy: has elements that are not whole numbers")
    return array.astype(np.int64)
