"""Which samples of a shard are trained on, and how often in a pass."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scaling.datasets._webdataset.captions import captions_in
from scaling.datasets._webdataset.options import Filter, JsonCaptions, Source
from scaling.datasets._webdataset.shards import Extent
from scaling.datasets._webdataset.uids import UidFile, find_uids, load_uids

IMAGES = ("jpg", "jpeg", "png", "webp")

Fields = Mapping[str, Any]
"""The content of a sample's json."""


class Group(NamedTuple):
    """The files of one sample, by suffix, and its json if that was asked for."""

    key: str
    files: Mapping[str, Extent]
    fields: Fields | None

    @property
    def uid(self) -> str:
        """What lists know the sample by: `uid` in its json, or else its key."""
        return str((self.fields or {}).get("uid", self.key))


class Chosen(NamedTuple):
    """A sample to train on."""

    key: str
    image: Extent
    caption: Extent
    """A text, or a json with the captions in it."""


@dataclass(frozen=True)
class Selection:
    """What decides which samples of a shard are trained on; equal ones choose equally."""

    captions: JsonCaptions | None
    filters: tuple[Filter, ...]
    uids: UidFile | None
    exclude_uids: UidFile | None

    @classmethod
    def of(cls, source: Source) -> "Selection":
        """What a source says; raises `DataError` if one of its lists is not here."""
        return cls(
            captions=source.captions if isinstance(source.captions, JsonCaptions) else None,
            filters=source.filters or (),
            uids=find_uids("uids", source.uids) if source.uids else None,
            exclude_uids=find_uids("exclude_uids", source.exclude_uids)
            if source.exclude_uids
            else None,
        )

    @property
    def reads_json(self) -> bool:
        """Whether a choice needs the json of every sample."""
        return bool(self.captions or self.filters or self.uids or self.exclude_uids)

    @cached_property
    def digest(self) -> str:
        """Changes with all that changes a choice."""
        parts = {
            "captions": self.captions.keys if self.captions else None,
            "filters": [condition.model_dump(mode="json") for condition in self.filters],
            "uids": self.uids,
            "exclude_uids": self.exclude_uids,
        }
        return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()

    def choose(self, groups: Iterator[Group]) -> tuple[list[Chosen], Counter[str]]:
        """The samples to train on, one listed twice twice, and how many lack what."""
        chosen: list[Chosen] = []
        uids: list[str] = []
        left_out: Counter[str] = Counter()
        for group in groups:
            image = next((group.files[s] for s in IMAGES if s in group.files), None)
            caption = group.files.get("json" if self.captions else "txt")
            if image is None or caption is None:
                left_out["lack an image or a caption"] += 1
            elif fault := self._fault(group):
                left_out[fault] += 1
            else:
                chosen.append(Chosen(group.key, image, caption))
                uids.append(group.uid)
        copies = self._copies(uids, left_out)
        return [
            sample for sample, n in zip(chosen, copies, strict=True) for _ in range(n)
        ], left_out

    def _fault(self, group: Group) -> str | None:
        """Why a sample is left out for what its json says."""
        if not (self.captions or self.filters):
            return None
        if group.fields is None:
            return "lack a json that can be read"
        for number, condition in enumerate(self.filters):
            if condition.field not in group.fields:
                return f"lack the field {condition.field!r}"
            if not meets(condition, group):
                return f"fail filters.{number}: {condition}"
        if self.captions and not any(captions_in(group.fields, key) for key in self.captions.keys):
            return f"lack a caption in {' and '.join(self.captions.keys)}"
        return None

    def _copies(self, uids: list[str], left_out: Counter[str]) -> NDArray[np.int64]:
        copies = np.ones(len(uids), np.int64)
        if self.uids:
            copies = load_uids(self.uids).counts(uids)
            left_out[f"are not in {self.uids.path.name}"] += int((copies == 0).sum())
        if self.exclude_uids:
            listed = load_uids(self.exclude_uids).counts(uids) > 0
            left_out[f"are in {self.exclude_uids.path.name}"] += int((listed & (copies > 0)).sum())
            copies[listed] = 0
        return copies


def meets(condition: Filter, group: Group) -> bool:
    """Whether a sample meets a condition; raises `ValueError` for text where a number belongs."""
    assert group.fields is not None
    value = group.fields[condition.field]
    if value is None:
        return False
    if condition.at_least is not None or condition.at_most is not None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(
                f"sample {group.key}: its field {condition.field!r} is {value!r}, "
                "which is not a number to compare with at_least or at_most"
            )
        # NaN, which img2dataset writes where a score is missing, is within no limits.
        if condition.at_least is not None and not value >= condition.at_least:
            return False
        if condition.at_most is not None and not value <= condition.at_most:
            return False
    if condition.one_of is not None and value not in condition.one_of:
        return False
    return condition.none_of is None or value not in condition.none_of
