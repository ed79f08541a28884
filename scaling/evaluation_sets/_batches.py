"""Batches taken apart and put together."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scaling.datasets._prefetch import ReadAhead
from scaling.evaluation_sets import Batch


def rows_of(batch: Batch, rows: NDArray[np.int64]) -> Batch:
    """The pictures at these places of a batch, if it has them, and what is true of them."""
    return Batch(
        batch.images[rows] if len(batch.images) else batch.images,
        labels=None if batch.labels is None else batch.labels[rows],
        captions=None
        if batch.captions is None
        else tuple(batch.captions[row] for row in rows.tolist()),
        masks=None if batch.masks is None else batch.masks[rows],
        metadata=None
        if batch.metadata is None
        else {name: values[rows] for name, values in batch.metadata.items()},
        groups=None if batch.groups is None else batch.groups[rows],
    )


def joined(batches: Sequence[Batch]) -> Batch:
    """Consecutive batches as one."""
    first = batches[0]
    return Batch(
        np.concatenate([batch.images for batch in batches]),
        labels=_joined([batch.labels for batch in batches]),
        captions=None
        if first.captions is None
        else tuple(own for batch in batches for own in batch.captions or ()),
        masks=_joined([batch.masks for batch in batches]),
        metadata=None
        if first.metadata is None
        else {
            name: np.concatenate([(batch.metadata or {})[name] for batch in batches])
            for name in first.metadata
        },
        groups=_joined([batch.groups for batch in batches]),
    )


def _joined(parts: Sequence[NDArray[Any] | None]) -> NDArray[Any] | None:
    known = [part for part in parts if part is not None]
    return np.concatenate(known) if known else None


def in_turn(read: Callable[[int], Batch], *, step: int, until: int) -> Iterator[Batch]:
    """`read` at each `step` below `until`, read ahead, without batches that are empty."""
    ahead = ReadAhead(read, step=step, until=until)
    try:
        for first in range(0, until, step):
            batch = ahead.at(first)
            if len(batch.images):
                yield batch
    finally:
        ahead.close()
