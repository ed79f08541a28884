"""What the shards of a set hold together."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scaling.datasets._shard_tools.check import ShardReport
from scaling.datasets._webdataset.index import Tar
from scaling.datasets._webdataset.shards import find_shards

_EXAMPLES = 5
_QUANTILES = {"min": 0.0, "median": 0.5, "p99": 0.99, "max": 1.0}

Distribution = Mapping[str, int]
"""Quantiles by name; empty if there is nothing to take them of."""


@dataclass(frozen=True)
class Fault:
    """Something that cannot be trained on."""

    shard: str
    key: str
    """Of a sample; empty if it is the shard itself."""
    reason: str


@dataclass(frozen=True)
class CheckSummary:
    """What all shards hold, and what is wrong."""

    shards: int
    missing: tuple[str, ...]
    """Shards that are not here."""
    samples: int
    formats: Mapping[str, int]
    shorter_side: Distribution
    longer_side: Distribution
    """Of pictures, in pixels."""
    captions: int
    empty_captions: int
    words: Distribution
    tokens: Distribution
    """Of captions."""
    without_image: int
    without_caption: int
    broken: int
    faults: tuple[Fault, ...]
    """Every sample that is broken, or lacks image or caption, and every damaged shard."""
    duplicate_keys: int
    """Samples whose key was there before."""
    duplicates: tuple[str, ...]
    """The first few such keys, each with a shard that has it again."""
    seconds: float

    @property
    def samples_per_second(self) -> float:
        """All processes together."""
        return self.samples / self.seconds

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        fields = {**vars(self), "faults": [vars(fault) for fault in self.faults]}
        return {**fields, "samples_per_second": self.samples_per_second}


def summarize(
    reports: Sequence[ShardReport], missing: Sequence[Path], seconds: float
) -> CheckSummary:
    """All of `reports`, in the order of their shards, as one."""
    words = _total([report.words for report in reports])
    duplicate_keys, duplicates = _duplicates(reports)
    return CheckSummary(
        shards=len(reports),
        missing=tuple(str(path) for path in missing),
        samples=sum(report.samples for report in reports),
        formats=dict(sorted(_total([report.formats for report in reports]).items())),
        shorter_side=_distribution(_total([report.shorter_sides for report in reports])),
        longer_side=_distribution(_total([report.longer_sides for report in reports])),
        captions=words.total(),
        empty_captions=words[0],
        words=_distribution(words),
        tokens=_distribution(_total([report.tokens for report in reports])),
        without_image=sum(len(report.without_image) for report in reports),
        without_caption=sum(len(report.without_caption) for report in reports),
        broken=sum(len(report.broken) for report in reports),
        faults=tuple(fault for report in reports for fault in _faults(report)),
        duplicate_keys=duplicate_keys,
        duplicates=duplicates,
        seconds=seconds,
    )


def _faults(report: ShardReport) -> list[Fault]:
    shard = str(report.shard)
    damage = [("", report.damage)] if report.damage else []
    without = [(key, "no image") for key in report.without_image]
    without += [(key, "no caption") for key in report.without_caption]
    return [Fault(shard, key, reason) for key, reason in [*damage, *report.broken, *without]]


def _total(counters: Sequence[Counter[Any]]) -> Counter[Any]:
    total: Counter[Any] = Counter()
    for counter in counters:
        total.update(counter)
    return total


def _distribution(counts: Counter[int]) -> Distribution:
    """The smallest value that so large a share does not exceed, for each quantile."""
    if not counts:
        return {}
    values = np.array(sorted(counts))
    below = np.cumsum([counts[int(value)] for value in values])
    ranks = [max(1, int(np.ceil(share * below[-1]))) for share in _QUANTILES.values()]
    found = values[np.searchsorted(below, ranks)]
    return {name: int(value) for name, value in zip(_QUANTILES, found, strict=True)}


def _duplicates(reports: Sequence[ShardReport]) -> tuple[int, tuple[str, ...]]:
    """How many keys are there again, and the first few of them with a place."""
    if not reports:
        return 0, ()
    keys = np.concatenate([report.keys for report in reports])
    _, first = np.unique(keys, return_index=True)
    again = np.setdiff1d(np.arange(len(keys)), first)
    ends = np.cumsum([len(report.keys) for report in reports])
    examples = []
    for position in again[:_EXAMPLES]:
        shard = int(np.searchsorted(ends, position, side="right"))
        row = int(position - ends[shard] + len(reports[shard].keys))
        examples.append(f"{_key_at(reports[shard].shard, row)} in {reports[shard].shard}")
    return len(again), tuple(examples)


def _key_at(path: Path, row: int) -> str:
    groups = Tar(find_shards([path])[0]).groups(with_json=False)
    return next(group.key for number, group in enumerate(groups) if number == row)
