import io
import itertools
import logging
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import webdataset
from PIL import Image
from webdataset.tariterators import group_by_keys, tar_file_iterator

from scaling.datasets import DATASETS
from scaling.datasets.webdataset import WebdatasetOptions, WebdatasetStream
from scaling.errors import DataError

KIND = DATASETS.get("webdataset")
SIZES = (7, 11, 5)
FORMATS = ("png", "jpg", "webp")


def encoded(image: np.ndarray, suffix: str) -> bytes:
    buffer = io.BytesIO()
    format = {"jpg": "JPEG"}.get(suffix, suffix)
    Image.fromarray(image).save(buffer, format, **({} if suffix == "jpg" else {"lossless": True}))
    return buffer.getvalue()


def write_shards(directory: Path, sizes: tuple[int, ...] = SIZES) -> str:
    shapes = DATASETS.get("shapes")
    number = 0
    for shard, size in enumerate(sizes):
        with webdataset.TarWriter(str(directory / f"{shard:03d}.tar")) as writer:
            images, captions = shapes.open(shapes.options(), 0).read(number, size, 24)
            for image, caption in zip(images, captions, strict=True):
                suffix = FORMATS[number % len(FORMATS)]
                writer.write(
                    {
                        "__key__": f"part.one/{number:06d}",
                        suffix: encoded(image, suffix),
                        "txt": f"{number} {caption}\n",
                        "json": {"uid": number},
                    }
                )
                number += 1
    return f"{directory}/{{000..{len(sizes) - 1:03d}}}.tar"


@pytest.fixture
def shards(tmp_path: Path) -> str:
    return write_shards(tmp_path)


def open_stream(shards: object, seed: int = 0, **options: object) -> WebdatasetStream:
    return KIND.open(WebdatasetOptions(shards=shards, **options), seed)


def read_with_webdataset(shard: Path) -> dict[str, np.ndarray]:
    with shard.open("rb") as stream:  # its own readers leave files open
        files = [{**file, "__url__": ""} for file in tar_file_iterator(stream)]
    return {
        sample["txt"].decode().strip(): np.asarray(
            Image.open(io.BytesIO(next(sample[s] for s in FORMATS if s in sample))).convert("RGB")
        )
        for sample in group_by_keys(files)
    }


def test_samples_are_those_that_webdataset_reads(shards: str, tmp_path: Path) -> None:
    theirs: dict[str, np.ndarray] = {}
    for shard in sorted(tmp_path.iterdir()):
        theirs |= read_with_webdataset(shard)

    images, captions = open_stream(shards, crop="center").read(0, sum(SIZES), 24)

    assert set(captions) == set(theirs)
    for image, caption in zip(images, captions, strict=True):
        np.testing.assert_array_equal(image, theirs[caption])


def test_a_sample_does_not_depend_on_how_the_stream_is_read(shards: str) -> None:
    images, captions = open_stream(shards).read(10, 50, 16)

    for first, count in [(57, 3), (10, 1), (22, 25)]:
        part = open_stream(shards).read(first, count, 16)
        rows = slice(first - 10, first - 10 + count)
        np.testing.assert_array_equal(part.images, images[rows])
        assert list(part.captions) == list(captions[rows])


def test_every_pass_sees_every_sample_once_in_another_order(shards: str) -> None:
    stream, length = open_stream(shards), sum(SIZES)

    passes = [stream.read(epoch * length, length, 8).captions for epoch in range(3)]

    assert all(Counter(seen) == Counter(passes[0]) for seen in passes)
    assert len(set(passes[0])) == length
    assert passes[0] != passes[1] != passes[2]
    assert list(open_stream(shards, seed=1).read(0, length, 8).captions) != list(passes[0])


def test_samples_of_a_shard_are_read_together(shards: str) -> None:
    captions = open_stream(shards).read(0, sum(SIZES), 8).captions
    bounds = np.cumsum(SIZES)
    shard_of = [int(np.searchsorted(bounds, int(c.split()[0]), side="right")) for c in captions]

    changes = sum(a != b for a, b in itertools.pairwise(shard_of))
    assert changes == len(SIZES) - 1


def test_patterns_and_lists_name_the_same_shards(shards: str, tmp_path: Path) -> None:
    listed = [str(tmp_path / "000.tar"), f"{tmp_path}/{{001..002}}.tar"]

    assert open_stream(listed).sources[0].shards == open_stream(shards).sources[0].shards


@pytest.mark.parametrize("use", [KIND.check, lambda options: KIND.open(options, 0)])
def test_a_missing_shard_is_named(use: object, shards: str, tmp_path: Path) -> None:
    (tmp_path / "001.tar").unlink()

    with pytest.raises(DataError, match=r"missing 1 of 3 shards: .*001\.tar"):
        use(WebdatasetOptions(shards=shards))


def test_all_shards_there_is_fine(shards: str) -> None:
    KIND.check(WebdatasetOptions(shards=shards, size="23"))


def break_sample(shard: Path, row: int, junk: bytes = b"not an image") -> None:
    seen = open_stream(str(shard)).sources[0].locate(0)
    extent = seen.samples.image(row)
    with shard.open("r+b") as file:
        file.seek(extent.offset)
        file.write(junk.ljust(extent.bytes, b"\0")[: extent.bytes])


def test_a_broken_sample_is_skipped_counted_and_logged(
    shards: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    break_sample(tmp_path / "001.tar", 3)
    stream = open_stream(shards, crop="center")

    with caplog.at_level(logging.WARNING):
        captions = stream.read(0, sum(SIZES), 16).captions

    numbers = Counter(int(caption.split()[0]) for caption in captions)
    assert numbers[7 + 3] == 0
    assert numbers[7 + 4] == 2  # the next of its shard took its place
    assert stream.skipped == 1
    assert "000010 is broken and skipped (1 so far)" in caplog.text


def test_a_shard_without_a_readable_sample_is_an_error(tmp_path: Path) -> None:
    shards = write_shards(tmp_path, (2,))
    for row in range(2):
        break_sample(tmp_path / "000.tar", row)

    with pytest.raises(DataError, match="not one of its 2 samples can be read"):
        open_stream(shards).read(0, 1, 16)


def test_the_whole_part_of_a_shard_that_ends_early_is_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shards = write_shards(tmp_path, (6,))
    shard = tmp_path / "000.tar"
    fourth = open_stream(shards).sources[0].locate(0).samples.caption(3)
    with shard.open("r+b") as file:
        file.truncate(fourth.offset + 3)

    captions = open_stream(shards).read(0, 3, 16).captions

    assert sorted(int(caption.split()[0]) for caption in captions) == [0, 1, 2]
    assert f"000.tar: at byte {fourth.offset - 512:,}: the file ends within" in caplog.text


def test_a_file_that_is_no_tar_is_an_error_that_names_it(tmp_path: Path) -> None:
    shards = write_shards(tmp_path, (4,))
    shard = tmp_path / "000.tar"
    shard.write_bytes(b"\x01" * 2048)

    with pytest.raises(DataError, match=r"000\.tar: cannot be read as an uncompressed tar"):
        open_stream(shards).read(0, 1, 16)


def test_shards_without_pairs_are_an_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with tarfile.open(tmp_path / "000.tar", "w") as tar:
        info = tarfile.TarInfo("a.txt")
        info.size = 3
        tar.addfile(info, io.BytesIO(b"cat"))

    with pytest.raises(DataError, match="no sample is left of 1 in 1 shards"):
        open_stream(str(tmp_path / "000.tar")).read(0, 1, 16)
    assert "1 of 1 samples lack an image or a caption" in caplog.text


def test_a_stated_size_that_is_wrong_is_said(
    shards: str, caplog: pytest.LogCaptureFixture
) -> None:
    stream = open_stream(shards, size="1K")
    assert stream.unique_samples == 1000

    stream.read(0, sum(SIZES), 8)

    assert stream.unique_samples == sum(SIZES)
    assert "stated as 1000, but the shards hold 23 samples" in caplog.text


@pytest.mark.parametrize("what", ["gone", "shorter"])
def test_a_shard_that_fails_while_it_is_used_is_an_error_and_no_broken_sample(
    shards: str, tmp_path: Path, what: str
) -> None:
    stream = open_stream(shards)
    stream.sources[0].locate(0)  # indexed, not yet opened
    for shard in tmp_path.glob("*.tar"):
        shard.unlink() if what == "gone" else shard.write_bytes(b"")

    with pytest.raises(DataError, match=r"00\d\.tar: (cannot be read: No|has become shorter)"):
        stream.read(0, 1, 16)
    assert stream.skipped == 0
