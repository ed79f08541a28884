"""Several sources, sampling with replacement, and reading by position, on real shards."""

import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from shard_files import numbers, write_numbers, write_shard

from scaling.datasets import DATASETS, Samples
from scaling.datasets.webdataset import WebdatasetOptions, WebdatasetStream
from scaling.errors import DataError

KIND = DATASETS.get("webdataset")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two shards of small, samples 0 to 8; three of large, samples 100 to 129."""
    for part, of in (("small/0", range(4)), ("small/1", range(4, 9))):
        (tmp_path / part).parent.mkdir(exist_ok=True)
        write_numbers(tmp_path / f"{part}.tar", of)
    (tmp_path / "large").mkdir()
    for part in range(3):
        write_numbers(tmp_path / f"large/{part}.tar", range(100 + 10 * part, 110 + 10 * part))
    return tmp_path


def sources(folder: Path, small: float = 1, large: float = 2) -> list[dict[str, object]]:
    return [
        {"shards": f"{folder}/small/{{0..1}}.tar", "weight": small},
        {"shards": f"{folder}/large/{{0..2}}.tar", "weight": large},
    ]


def open_stream(seed: int = 0, **options: object) -> WebdatasetStream:
    return KIND.open(WebdatasetOptions.model_validate(options), seed)


OPTIONS = [
    {},
    {"resample": True},
    {"captions": {"json": "uid"}, "filters": [{"field": "uid", "none_of": [""]}]},
]


def assert_equal(one: Samples, other: Samples) -> None:
    np.testing.assert_array_equal(one.images, other.images)
    assert list(one.captions) == list(other.captions)


@pytest.mark.parametrize("options", OPTIONS)
def test_a_fresh_stream_resumes_at_any_position(folder: Path, options: dict[str, object]) -> None:
    images, captions = open_stream(sources=sources(folder), **options).read(0, 120, 12)

    for first in (1, 37, 64, 119):
        resumed = open_stream(sources=sources(folder), **options).read(first, 120 - first, 12)
        assert_equal(resumed, Samples(images[first:], captions[first:]))


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("workers", [2, 4])
def test_workers_share_a_batch_without_changing_it(
    folder: Path, workers: int, options: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, rows = 16, 16 // workers
    whole = open_stream(sources=sources(folder), **options).read(0, 3 * batch, 12)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    streams = [open_stream(sources=sources(folder), **options) for _ in range(workers)]

    parts = [
        stream.read(step * batch + rank * rows, rows, 12)
        for step in range(3)
        for rank, stream in enumerate(streams)
    ]

    joined = Samples(
        np.concatenate([part.images for part in parts]),
        [caption for part in parts for caption in part.captions],
    )
    assert_equal(joined, whole)


def test_every_batch_holds_each_source_by_weight(folder: Path) -> None:
    seen = numbers(open_stream(sources=sources(folder, 1, 2)).read(0, 300, 8).captions)

    for first in range(0, 300, 30):
        assert abs(sum(number < 100 for number in seen[first : first + 30]) - 10) <= 1
    small = Counter(number for number in seen if number < 100)
    assert max(small.values()) - min(small.values()) <= 1  # shuffled passes, each source its own


def test_a_source_has_captions_and_filters_of_its_own(folder: Path) -> None:
    first, second = sources(folder)
    write_shard(
        folder / "large/0.tar",
        [{"number": n, "fields": {"caption": f"{n} in json"}} for n in range(100, 103)],
    )
    second |= {"shards": f"{folder}/large/0.tar", "captions": {"json": "caption"}}

    captions = open_stream(sources=[first, second]).read(0, 60, 8).captions

    places = {
        (number >= 100, caption.split()[-1])
        for number, caption in zip(numbers(captions), captions, strict=True)
    }
    assert places == {(False, "txt"), (True, "json")}


def test_unique_samples_are_counted_once_all_shards_were_seen(folder: Path) -> None:
    stream = open_stream(sources=sources(folder))
    assert stream.unique_samples is None

    for first, known in [(20, None), (90, 39)]:
        resumed = open_stream(sources=sources(folder))
        resumed.read(first, 1, 8)
        assert resumed.unique_samples == known
    stream.read(0, 91, 8)

    assert stream.unique_samples == 9 + 30
    stated = [source | {"size": "1K"} for source in sources(folder)]
    assert open_stream(sources=stated).unique_samples == 2000


def test_resampling_draws_shards_with_replacement(folder: Path) -> None:
    shards = f"{folder}/large/{{0..2}}.tar"
    seen = numbers(open_stream(shards=shards, resample=True).read(0, 600, 8).captions)

    visits = [{n // 10 for n in seen[start : start + 10]} for start in range(0, 600, 10)]
    assert all(len(visit) == 1 for visit in visits)
    drawn = [visit.pop() for visit in visits]
    assert any(one == other for one, other in itertools.pairwise(drawn))
    assert all(len(set(seen[start : start + 10])) == 10 for start in range(0, 600, 10))
    assert min(Counter(drawn).values()) > 8


def test_resampling_shards_without_a_sample_ends_with_an_error(folder: Path) -> None:
    filters = [{"field": "uid", "one_of": ["none"]}]
    stream = open_stream(sources=sources(folder), resample=True, filters=filters)

    with pytest.raises(
        DataError, match=r"no sample is left of .* shards\n  \d+ fail filters\.0: uid one_of none"
    ):
        stream.read(0, 10, 8)


def test_a_missing_shard_of_any_source_is_named(folder: Path) -> None:
    (folder / "large/1.tar").unlink()
    options = WebdatasetOptions.model_validate({"sources": sources(folder)})

    for use in (KIND.check, lambda o: KIND.open(o, 0)):
        with pytest.raises(DataError, match=r"missing 1 of 3 shards: .*large/1\.tar"):
            use(options)


def test_draft_gives_other_pixels_of_the_same_samples(folder: Path) -> None:
    exact = open_stream(sources=sources(folder)).read(0, 40, 12)

    draft = open_stream(sources=sources(folder), draft=True).read(0, 40, 12)

    assert draft.captions == exact.captions
    assert np.abs(draft.images.astype(int) - exact.images).max() <= 4
