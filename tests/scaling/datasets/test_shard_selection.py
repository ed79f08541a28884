"""Filters, lists of uids and captions, on shards in img2dataset's layout."""

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet
from shard_files import numbers, uid, write_shard

from scaling.datasets import DATASETS
from scaling.datasets.webdataset import WebdatasetOptions, WebdatasetStream
from scaling.errors import DataError

KIND = DATASETS.get("webdataset")
COUNT = 12


@pytest.fixture
def shard(tmp_path: Path) -> str:
    """Scores rise by 0.05 from 0; every third sample is German; captions are one, two or none."""
    samples = [
        {
            "number": number,
            "fields": {
                "caption": f"{number} original",
                "rewritten": [f"{number} rewritten {n}" for n in range(number % 3)],
                "clip_score": number * 0.05,
                "language": "de" if number % 3 == 0 else "en",
                "width": None if number == 7 else 100 + number,
            },
        }
        for number in range(COUNT)
    ]
    path = tmp_path / "000.tar"
    write_shard(path, samples)
    return str(path)


def open_stream(shards: str, seed: int = 0, **options: object) -> WebdatasetStream:
    return KIND.open(WebdatasetOptions(shards=shards, **options), seed)


def one_pass(stream: WebdatasetStream) -> list[str]:
    size = len(stream.sources[0].locate(0).samples)
    return list(stream.read(0, size, 8).captions)


@pytest.mark.parametrize(
    ("filters", "kept"),
    [
        ([{"field": "clip_score", "at_least": 0.25}], [5, 6, 7, 8, 9, 10, 11]),
        ([{"field": "clip_score", "at_least": 0.1, "at_most": 0.2}], [2, 3, 4]),
        ([{"field": "language", "one_of": ["de"]}], [0, 3, 6, 9]),
        (
            [{"field": "language", "none_of": ["de"]}, {"field": "width", "at_least": 106}],
            [8, 10, 11],
        ),
    ],
)
def test_filters_keep_what_meets_all_of_them(
    shard: str, filters: list[dict[str, object]], kept: list[int]
) -> None:
    stream = open_stream(shard, filters=filters)

    assert sorted(numbers(one_pass(stream))) == kept
    assert stream.unique_samples == len(kept)


@pytest.mark.parametrize("cores", ["1", "3"])
def test_filters_that_leave_nothing_say_what_failed(
    shard: str, cores: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", cores)
    stream = open_stream(shard, filters=[{"field": "clip_score", "at_least": 28}])

    with pytest.raises(DataError):
        stream.read(0, 64, 8)
    with pytest.raises(DataError) as error:
        stream.read(0, 64, 8)
    assert str(error.value).endswith(
        "000.tar: no sample is left of 12 in 1 shards\n  12 fail filters.0: clip_score at_least 28"
    )


def test_a_field_that_no_sample_has_is_named_with_the_nearest_one(shard: str) -> None:
    stream = open_stream(shard, filters=[{"field": "clip_scores", "at_least": 0.3}])

    with pytest.raises(DataError, match="unknown field 'clip_scores'; did you mean 'clip_score'"):
        stream.read(0, 1, 8)


def test_text_where_a_number_belongs_is_an_error_that_names_the_sample(shard: str) -> None:
    stream = open_stream(shard, filters=[{"field": "language", "at_least": 1}])

    with pytest.raises(DataError, match=r"000\.tar: sample 000000000: its field 'language' is"):
        stream.read(0, 1, 8)


LISTED = [1, 4, 4, 10]


def write_uids(path: Path, listed: list[int]) -> str:
    if path.suffix == ".npy":
        halves = [(int(uid(n)[:16], 16), int(uid(n)[16:], 16)) for n in listed]
        np.save(path, np.array(halves, np.dtype("u8,u8")))
    elif path.suffix == ".parquet":
        parquet.write_table(pyarrow.table({"uid": [uid(n) for n in listed], "x": listed}), path)
    else:
        path.write_text("\n".join(uid(n) for n in listed) + "\n")
    return str(path)


@pytest.mark.parametrize("name", ["list.npy", "list.parquet", "list.txt"])
@pytest.mark.parametrize("order", ["sorted", "shuffled"])
def test_listed_uids_are_seen_as_often_as_they_are_listed(
    shard: str, tmp_path: Path, name: str, order: str
) -> None:
    listed = sorted(LISTED, key=uid) if order == "sorted" else LISTED
    stream = open_stream(shard, uids=write_uids(tmp_path / name, listed))

    assert Counter(numbers(one_pass(stream))) == {1: 1, 4: 2, 10: 1}
    assert stream.unique_samples == 3


@pytest.mark.parametrize("name", ["list.npy", "list.parquet", "list.txt"])
def test_excluded_uids_are_not_seen(shard: str, tmp_path: Path, name: str) -> None:
    stream = open_stream(shard, exclude_uids=write_uids(tmp_path / name, LISTED))

    assert sorted(numbers(one_pass(stream))) == [n for n in range(COUNT) if n not in LISTED]


def test_a_bare_array_is_a_list_too_as_datacomp_reads_it(shard: str, tmp_path: Path) -> None:
    write_uids(tmp_path / "with_header.npy", LISTED)
    np.load(tmp_path / "with_header.npy").tofile(tmp_path / "bare.npy")

    stream = open_stream(shard, uids=str(tmp_path / "bare.npy"))

    assert set(numbers(one_pass(stream))) == set(LISTED)


def test_a_sample_without_uid_is_known_by_its_key(tmp_path: Path) -> None:
    write_shard(tmp_path / "0.tar", [{"number": n, "without": ["json"]} for n in range(5)])
    (tmp_path / "keys.txt").write_text("000000003\n000000001\n")

    stream = open_stream(str(tmp_path / "0.tar"), uids=str(tmp_path / "keys.txt"))

    assert sorted(numbers(one_pass(stream))) == [1, 3]


def test_lists_that_are_none_are_errors_that_name_the_file(shard: str, tmp_path: Path) -> None:
    np.save(tmp_path / "wrong.npy", np.arange(5))
    parquet.write_table(pyarrow.table({"uids": ["0"]}), tmp_path / "wrong.parquet")
    (tmp_path / "empty.txt").touch()

    for name, why in [
        ("wrong.npy", "holds int64, not pairs of 64-bit halves"),
        ("wrong.parquet", "unknown column 'uid'; did you mean 'uids'"),
        ("empty.txt", "lists no uid"),
    ]:
        with pytest.raises(DataError, match=f"{name}: .*{why}"):
            open_stream(shard, uids=str(tmp_path / name)).read(0, 1, 8)
    with pytest.raises(DataError, match=r"uids: missing .*absent\.npy"):
        KIND.check(WebdatasetOptions(shards=shard, uids=str(tmp_path / "absent.npy")))


def test_captions_come_from_a_key_of_the_json(shard: str) -> None:
    captions = one_pass(open_stream(shard, captions={"json": "caption"}))

    assert sorted(captions) == sorted(f"{n} original" for n in range(COUNT))


def test_samples_without_a_caption_are_left_out(shard: str) -> None:
    captions = one_pass(open_stream(shard, captions={"json": "rewritten", "choice": "first"}))

    assert sorted(numbers(captions)) == [n for n in range(COUNT) if n % 3]
    assert all(caption.endswith("rewritten 0") for caption in captions)


def captions_of(stream: WebdatasetStream, number: int, passes: int) -> list[str]:
    captions = stream.read(0, passes * COUNT, 8).captions
    return [caption for caption in captions if numbers([caption]) == [number]]


BOTH = ["caption", "rewritten"]


def test_alternate_takes_turns_by_pass(shard: str) -> None:
    seen = captions_of(open_stream(shard, captions={"json": BOTH, "choice": "alternate"}), 2, 6)

    assert len(set(seen)) == 3
    assert seen[:3] == seen[3:]


def test_random_choice_follows_the_weights_of_keys(shard: str) -> None:
    stream = open_stream(shard, captions={"json": BOTH, "weights": [3, 1]})

    seen = Counter(captions_of(stream, 2, 100))

    assert 60 < seen["2 original"] < 90
    assert min(seen[f"2 rewritten {n}"] for n in range(2)) > 5


def test_choices_are_functions_of_seed_and_position(shard: str) -> None:
    options = {"captions": {"json": BOTH}}
    whole = open_stream(shard, **options).read(0, 200, 8).captions

    assert open_stream(shard, **options).read(150, 50, 8).captions == whole[150:]
    assert open_stream(shard, seed=1, **options).read(0, 200, 8).captions != whole


def test_captions_do_not_change_how_pictures_are_cut(shard: str) -> None:
    images = open_stream(shard).read(0, 50, 8).images

    other = open_stream(shard, captions={"json": BOTH}).read(0, 50, 8).images
    np.testing.assert_array_equal(images, other)
