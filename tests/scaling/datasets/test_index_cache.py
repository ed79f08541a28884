"""Indexes on disk: shared by processes, never wrong, never in the way."""

import dataclasses
import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest
from shard_files import write_numbers

from scaling.datasets._webdataset import index as indexing
from scaling.datasets._webdataset import index_cache
from scaling.datasets._webdataset.index import index_shard
from scaling.datasets._webdataset.options import Filter, WebdatasetOptions
from scaling.datasets._webdataset.selection import Selection
from scaling.datasets._webdataset.shards import Shard, find_shards

SELECTION = Selection.of(WebdatasetOptions(shards="x").all_sources()[0])


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SCALING_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def shard_of(directory: Path, numbers: range = range(6)) -> Shard:
    return find_shards([Path(write_numbers(directory / "0.tar", numbers))])[0]


def indexed(shard: Shard, selection: Selection = SELECTION) -> index_cache.ShardIndex:
    """As another process would find it."""
    index_shard.cache_clear()
    return index_shard(shard, selection)


def assert_same(one: index_cache.ShardIndex, other: index_cache.ShardIndex) -> None:
    for field in dataclasses.fields(one):
        np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))


def forbid_building(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(*_: object) -> None:
        raise AssertionError("built again")

    monkeypatch.setattr(indexing, "_build", build)


def test_a_second_process_reads_what_the_first_built(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard = shard_of(tmp_path)
    built = indexed(shard)
    forbid_building(monkeypatch)

    assert_same(indexed(shard), built)
    assert [path for path in tmp_path.iterdir() if path != cache] == [shard.path]


def test_another_content_or_selection_is_another_index(cache: Path, tmp_path: Path) -> None:
    shard = shard_of(tmp_path)
    assert len(indexed(shard)) == 6

    assert len(indexed(shard_of(tmp_path, range(9)))) == 9
    german = dataclasses.replace(SELECTION, filters=(Filter(field="uid", none_of=("0",)),))
    assert indexed(shard_of(tmp_path), german).fields == ("uid",)


@pytest.mark.parametrize("content", [b"", b"junk", None])
def test_a_torn_file_is_built_again(cache: Path, tmp_path: Path, content: bytes | None) -> None:
    shard = shard_of(tmp_path)
    built = indexed(shard)
    (path,) = cache.rglob("*.npz")
    path.write_bytes(path.read_bytes()[:-300] if content is None else content)

    assert_same(indexed(shard), built)
    assert_same(index_cache.load(shard, SELECTION), built)


def test_without_a_place_to_write_indexes_live_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SCALING_CACHE", str(tmp_path / "file" / "cache"))
    shard = shard_of(tmp_path)

    assert len(indexed(shard)) == len(indexed(shard)) == 6
    assert caplog.text.count("are not kept in") == 1


def test_without_a_home_indexes_live_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SCALING_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)

    def no_home(_: Path) -> Path:
        raise RuntimeError("no home")

    monkeypatch.setattr(Path, "expanduser", no_home)

    assert index_cache.cache_folder() is None
    assert len(indexed(shard_of(tmp_path))) == 6


def index_often(shard: Shard, cache: str) -> int:
    os.environ["SCALING_CACHE"] = cache
    lengths = set()
    for attempt in range(30):
        index = indexed(shard)
        lengths.add(len(index))
        if attempt % 3 == 0:
            index_cache.save(shard, SELECTION, index)
    assert len(lengths) == 1
    return lengths.pop()


def test_processes_that_build_at_once_all_get_whole_indexes(cache: Path, tmp_path: Path) -> None:
    shard = shard_of(tmp_path, range(40))
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert pool.starmap(index_often, [(shard, str(cache))] * 4) == [40] * 4

    assert len(list(cache.rglob("*"))) == len(list(cache.rglob("*.npz"))) + 2
