import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_shards import picture, read_shard, write_shard

from scaling.datasets import DATASETS
from scaling.datasets._shard_tools.repack import Repacked, plan_repacking, repack
from scaling.datasets._webdataset.decoding import decode
from scaling.datasets.webdataset import WebdatasetOptions
from scaling.errors import DataError

SAMPLES = {
    "0000": {"jpg": picture(0, 100, 60), "txt": b"wide\n", "json": b'{"uid":  "x"}'},
    "0001": {"png": picture(1, 40, 80, "PNG"), "txt": b"high", "npy": b"\x93NUMPY"},
    "0002": {"webp": picture(2, 32, 20, "WEBP"), "txt": b"small"},
    "0003": {"jpg": picture(3, 100, 60)[:500], "txt": b"broken"},
    "0004": {"txt": b"no picture"},
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_shard(tmp_path / "0.tar", SAMPLES)


def repacked(source: Path, folder: Path, **changes: object) -> Repacked:
    how = {"size": 32, "form": "jpg", "quality": 95, **changes}
    (what,) = plan_repacking([source], folder, **how)  # type: ignore[arg-type]
    return repack(what)


@pytest.mark.parametrize("form", ["jpg", "webp"])
def test_pictures_become_smaller_and_all_else_stays(
    source: Path, tmp_path: Path, form: str
) -> None:
    done = repacked(source, tmp_path / "out", form=form)

    assert (done.samples, done.shrunk) == (3, 2)
    assert [key for key, _ in done.skipped] == ["0003", "0004"]
    found = read_shard(tmp_path / "out" / "0.tar")
    sizes = {key: Image.open(io.BytesIO(found[key][form])).size for key in ("0000", "0001")}
    assert sizes == {"0000": (53, 32), "0001": (32, 64)}
    assert found["0002"] == SAMPLES["0002"]
    for key in ("0000", "0001"):
        kept = {
            name: file for name, file in SAMPLES[key].items() if name in ("txt", "json", "npy")
        }
        assert {name: file for name, file in found[key].items() if name != form} == kept


def test_what_is_read_back_is_the_picture_made_smaller(source: Path, tmp_path: Path) -> None:
    done = repacked(source, tmp_path / "out", quality=100)
    options = WebdatasetOptions(shards=str(done.shard), crop="center")

    images, captions = DATASETS.get("webdataset").open(options, 0).read(0, 3, 32)

    ours = dict(zip(captions, images, strict=True))
    found = read_shard(done.shard)["0000"]["jpg"]
    np.testing.assert_array_equal(ours["wide"], np.asarray(decode(found))[:, 10:42])
    resized = decode(SAMPLES["0000"]["jpg"]).resize((53, 32), Image.Resampling.BICUBIC)
    difference = ours["wide"].astype(int) - np.asarray(resized)[:, 10:42]
    assert np.abs(difference).max() <= 4  # what JPEG at quality 100 loses


def test_pictures_that_are_small_enough_are_read_back_identically(
    source: Path, tmp_path: Path
) -> None:
    done = repacked(source, tmp_path / "out", size=4096)

    before, after = (
        DATASETS.get("webdataset").open(WebdatasetOptions(shards=str(shard)), 0).read(0, 3, 16)
        for shard in (write_shard(tmp_path / "1.tar", dict(list(SAMPLES.items())[:3])), done.shard)
    )

    assert done.shrunk == 0
    assert after.captions == before.captions
    np.testing.assert_array_equal(after.images, before.images)


def test_a_shard_that_is_there_is_kept_and_its_counts_are_remembered(
    source: Path, tmp_path: Path
) -> None:
    first = repacked(source, tmp_path / "out")
    before = (tmp_path / "out" / "0.tar").stat().st_mtime_ns

    again = repacked(source, tmp_path / "out")

    assert again.was_there
    assert (again.samples, again.shrunk, again.skipped) == (3, 2, first.skipped)
    assert (tmp_path / "out" / "0.tar").stat().st_mtime_ns == before


def test_a_shard_of_another_source_or_another_size_is_refused(
    source: Path, tmp_path: Path
) -> None:
    repacked(source, tmp_path / "out")
    with pytest.raises(DataError, match="size 32 there, 16 here"):
        repacked(source, tmp_path / "out", size=16)

    (tmp_path / "other").mkdir()
    other = write_shard(tmp_path / "other" / "0.tar", SAMPLES)
    with pytest.raises(DataError, match="source "):
        repacked(other, tmp_path / "out")

    os.utime(source, (1, 1))
    with pytest.raises(DataError, match="source_modified"):
        repacked(source, tmp_path / "out")


def test_shards_that_would_collide_are_refused(source: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = write_shard(tmp_path / "other" / "0.tar", SAMPLES)
    how = {"size": 32, "form": "jpg", "quality": 95}

    with pytest.raises(DataError, match="would both be"):
        plan_repacking([source, other], tmp_path / "out", **how)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="over itself"):
        plan_repacking([source], tmp_path, **how)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="missing 1 of 1 shards"):
        plan_repacking([tmp_path / "9.tar"], tmp_path / "out", **how)  # type: ignore[arg-type]


def test_what_is_no_tar_is_an_error_and_a_damaged_one_is_said(
    source: Path, tmp_path: Path
) -> None:
    whole = source.read_bytes()
    source.write_bytes(whole[: 512 * 8])
    assert "the tar is damaged at byte" in repacked(source, tmp_path / "a").skipped[-1][1]

    source.write_bytes(b"\x01" * 4096)
    with pytest.raises(DataError, match="cannot be read as an uncompressed tar"):
        repacked(source, tmp_path / "b")
    assert not (tmp_path / "b" / "0.tar").exists()
