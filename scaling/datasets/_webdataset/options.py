"""What a grid says about shards: sources, captions, filters. Reading it touches no data."""

from pathlib import Path
from typing import Annotated, Literal

from braceexpand import braceexpand
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from scaling.datasets import Options
from scaling.datasets._webdataset.decoding import Crop
from scaling.units import parse_count


def _patterns(value: object) -> object:
    listed = value if isinstance(value, list | tuple) else [value]
    for pattern in listed:
        if not isinstance(pattern, str) or not pattern:
            raise ValueError(
                f"{pattern!r} is no path; write one, or a pattern: 'data/{{0000..0999}}.tar'"
            )
        try:
            next(iter(braceexpand(pattern)))
        except ValueError as error:
            raise ValueError(f"{pattern!r}: {error}") from error
    return value


Count = Annotated[int, BeforeValidator(parse_count)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Weight = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Scalar = str | bool | int | float
Patterns = Annotated[str | tuple[str, ...], Field(min_length=1), BeforeValidator(_patterns)]
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
    if isinstance(value, dict):
        return JsonCaptions.model_validate(value)
    if value is None or value == "txt" or isinstance(value, JsonCaptions):
        return value
    raise ValueError(f"{value!r} is no place of captions; write txt, or {{json: caption}}")


Captions = JsonCaptions | Literal["txt"]
"""Where captions come from: `txt`, `{json: KEY}`, or `{json: [KEY, KEY], weights: [2, 1]}`."""


class Source(Options):
    """Shards of one kind within a mixture; what it leaves out holds as the set says it."""

    shards: Patterns
    weight: Weight = 1.0
    """Share of the samples seen, relative to the weights of the other sources."""
    size: Count | None = None
    """Samples in the source, if known; compared with what its shards hold."""
    captions: Annotated[Captions | None, BeforeValidator(_captions)] = None
    filters: tuple[Filter, ...] | None = None
    uids: UidPath | None = None
    exclude_uids: UidPath | None = None


class WebdatasetOptions(Options):
    """Which shards, which of their samples, and how pictures are cut."""

    shards: Patterns | None = None
    sources: tuple[Source, ...] = ()
    """Several sets of shards, mixed by weight; instead of `shards`."""
    size: Count | None = None
    """Samples in the set, if known; compared with what the shards hold."""
    captions: Annotated[Captions, BeforeValidator(_captions)] = "txt"
    filters: tuple[Filter, ...] = ()
    """Only samples that meet all of them."""
    uids: UidPath | None = None
    """Only samples whose uid is in this list; one that is listed twice is seen twice a pass."""
    exclude_uids: UidPath | None = None
    """No sample whose uid is in this list."""
    resample: bool = False
    """Draw shards with replacement, instead of passes through all of them."""
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
        for source in self.all_sources() if self.resample else ():
            if isinstance(source.captions, JsonCaptions) and source.captions.choice == "alternate":
                raise ValueError("choice: alternate takes turns by pass; resample has none")
        return self

    def all_sources(self) -> tuple[Source, ...]:
        """Every source with all that holds for it."""
        sources = self.sources
        if self.shards is not None:
            sources = (Source(shards=self.shards, size=self.size),)
        return tuple(
            source.model_copy(
                update={
                    name: getattr(self, name)
                    for name in ("captions", "filters", "uids", "exclude_uids")
                    if getattr(source, name) is None
                }
            )
            for source in sources
        )
