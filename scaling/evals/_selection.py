"""Choosing among few pictures and texts as CLIP_benchmark does it, group by group."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scaling.evaluation_sets import Batch

SELECTION = ("image_acc", "text_acc", "acc")


class Group(NamedTuple):
    """The rows of the pictures of a group, and its texts."""

    rows: slice
    texts: tuple[str, ...]


def groups_of(truths: Batch) -> list[Group]:
    """The groups of a set whose truth is `choices`, in order."""
    assert truths.captions is not None
    count = len(truths.captions)
    owners = np.arange(count) if truths.groups is None else truths.groups
    starts = np.flatnonzero(np.diff(owners, prepend=-1)).tolist()
    ends = [*starts[1:], count]
    return [
        Group(slice(start, end), truths.captions[start])
        for start, end in zip(starts, ends, strict=True)
    ]


def selection_metrics(scores: Sequence[NDArray[np.float32]]) -> dict[str, float]:
    """Shares of groups of which everything is chosen rightly; `scores` (pictures, texts) of each.

    The n-th picture goes with the n-th text; what is beyond the shorter of the two goes with
    nothing. `text_acc`: each picture's own text scores highest of all texts; `image_acc`: each
    text's own picture scores highest of all pictures, which is 1 where there is one picture;
    `acc`: both. Of equals the first is chosen.

    Source: CLIP_benchmark's `image_caption_selection`; Thrush et al. 2022 (arXiv:2204.03162) call
    them image, text and group score.
    """
    images, texts = [], []
    for scores_IT in scores:
        own = np.arange(min(scores_IT.shape))
        texts.append(bool((scores_IT.argmax(axis=1)[: len(own)] == own).all()))
        images.append(bool((scores_IT.argmax(axis=0)[: len(own)] == own).all()))
    both = np.logical_and(images, texts)
    found = (np.mean(images), np.mean(texts), np.mean(both))
    return {name: float(value) for name, value in zip(SELECTION, found, strict=True)}
