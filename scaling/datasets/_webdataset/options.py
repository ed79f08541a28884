"""What a grid says about shards: sources, captions, filters. Reading it touches no data."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from scaling.datasets import Options
from scaling.datasets._webdataset.decoding import Crop
from scaling.units import parse_count

Count = Annotated[int, BeforeValidator(parse_count)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Weight = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Scalar = str | bool | int | float
Patterns = Annotated[str | tuple[str, ...], Field(min_length=1)]
"""A path or a brace pattern, `data/{0000..0999}.tar`, or a list of them."""

UID_FORMATS = (".npy", ".parquet", ".txt")


def _uid_file(path: str) -> str:
    if Path(path).suffix not in UID_FORMATS:
        raise ValueError(f"{path!r} is none of {', '.join(UID_FORMATS)}")
    return path


UidPath = Annotated[str, AfterValidator(_uid_file)]


def _in_words(limit: object) -> str:
    return " or ".join(map(str, limit)) if isinstance(limit, tuple) else f"{limit:g}"


class Filter(Options):
    """A condition on a field of a sample's json; a sample without the field does not meet it."""

    field: str = Field(min_length=1)
    at_least: Finite | None = None
    at_most: Finite | None = None
    one_of: tuple[Scalar, ...] | None = Field(default=None, min_length=1)
    none_of: tuple[Scalar, ...] | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _asks_for_something(self) -> "Filter":
        if all(
            limit is None for limit in (self.at_least, self.at_most, self.one_of, self.none_of)
        ):
            raise ValueError(
                f"{self.field}: give it at_least, at_most, one_of or none_of, e.g. at_least: 0.28"
            )
        return self

    def __str__(self) -> str:
        """The condition in words, e.g. 'clip_score at_least 0.28'."""
        limits = self.model_dump(exclude={"field"}, exclude_none=True)
        return f"{self.field} " + ", ".join(f"{n} {_in_words(v)}" for n, v in limits.items())


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


class JsonCaptions(Options):
    """Captions from fields of a sample's json, each a text or a list of texts."""

    model_config = ConfigDict(populate_by_name=True)

    keys: Annotated[tuple[str, ...], BeforeValidator(_listed)] = Field(alias="json", min_length=1)
    choice: Literal["random", "first", "alternate"] = "random"
    """Which caption is seen at a position, of those that the sample has: a key by weight, then
    one of its texts; the first; or each in turn, one a pass."""
    weights: tuple[Weight, ...] | None = None
    """How often each key is chosen; equally often without."""

    @model_validator(mode="after")
    def _one_weight_a_key(self) -> "JsonCaptions":
        if self.weights is not None:
            if self.choice != "random":
                raise ValueError(f"weights are for choice: random, not {self.choice}")
            if len(self.weights) != len(self.keys):
                raise ValueError(f"{len(self.weights)} weights for {len(self.keys)} json keys")
        return self


def _captions(value: object) -> object:
    if value == "txt":
        return None
    if isinstance(value, str):
        raise ValueError(f"{value!r} is no place of captions; write txt, or {{json: {value}}}")
    return value


Captions = Annotated[JsonCaptions | None, BeforeValidator(_captions)]
"""Where captions come from; None is each sample's txt."""


class Selection(Options):
    """Which samples are trained on, with which captions."""

    captions: Captions = None
    """`txt`, or `{json: KEY}`, or `{json: [KEY, KEY], choice: random, weights: [2, 1]}`."""
    filters: tuple[Filter, ...] = ()
    """All of them must hold."""
    uids: UidPath | None = None
    """Only samples whose uid is in this list; one that is listed twice is seen twice a pass."""
    exclude_uids: UidPath | None = None
    """No sample whose uid is in this list."""


class Source(Selection):
    """Shards of one kind within a mixture; what it leaves out holds as the set says it."""

    shards: Patterns
    weight: Weight = 1.0
    """Share of the samples seen, relative to the weights of the other sources."""
    size: Count | None = None
    """Samples in the source, if known; compared with what its shards hold."""


class WebdatasetOptions(Selection):
    """Which shards, which of their samples, and how pictures are cut."""

    shards: Patterns | None = None
    sources: tuple[Source, ...] = ()
    """Several sets of shards, mixed by weight; instead of `shards`."""
    resample: bool = False
    """Draw shards with replacement, instead of passes through all of them."""
    size: Count | None = None
    """Samples in the set, if known; compared with what the shards hold."""
    crop: Crop = "random"
    """`random` is open_clip's training transform, `center` its evaluation transform."""
    draft: bool = False
    """Decode large JPEGs at a half, a quarter or an eighth where that is enough for the crop:
    quicker, with pixels that differ a little."""

    @model_validator(mode="after")
    def _shards_or_sources(self) -> "WebdatasetOptions":
        if (self.shards is None) == (not self.sources):
            raise ValueError("give it either shards or sources, e.g. shards: 'data/{00..09}.tar'")
        if self.sources and self.size is not None:
            raise ValueError("size: with sources, say it of each of them")
        return self

    @model_validator(mode="after")
    def _turns_need_passes(self) -> "WebdatasetOptions":
        if self.resample:
            for source in self.all_sources():
                if source.captions and source.captions.choice == "alternate":
                    raise ValueError("choice: alternate takes turns by pass; resample has none")
        return self

    def all_sources(self) -> tuple[Source, ...]:
        """Every source with all that holds for it."""
        shared = {name: getattr(self, name) for name in Selection.model_fields}
        if self.shards is not None:
            return (Source.model_construct(shards=self.shards, size=self.size, **shared),)
        return tuple(
            source.model_copy(
                update={k: v for k, v in shared.items() if k not in source.model_fields_set}
            )
            for source in self.sources
        )
