import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from small_shards import read_shard

from scaling.datasets import DATASETS
from scaling.datasets._shard_tools.encoding import Format
from scaling.datasets._shard_tools.make import ShapesShards
from scaling.datasets._shard_tools.writing import new_shard
from scaling.datasets.shapes import ShapesOptions, ShapesStream
from scaling.datasets.webdataset import WebdatasetOptions
from scaling.errors import DataError


def made(folder: Path, samples: int = 50, form: Format = "png", seed: int = 3) -> ShapesShards:
    return ShapesShards(
        folder=folder,
        samples=samples,
        shard_size=20,
        image_size=16,
        format=form,
        options=ShapesOptions(seed=seed),
    )


def write(shards: ShapesShards) -> int:
    return shards.write(lambda count: None)


@pytest.mark.parametrize("form", ["png", "webp", "jpg"])
def test_the_webdataset_kind_reads_what_the_stream_shows(tmp_path: Path, form: Format) -> None:
    shards = made(tmp_path, form=form)
    assert write(shards) == 0

    options = WebdatasetOptions(shards=shards.pattern, size=50, crop="center")
    stream = DATASETS.get("webdataset").open(options, 0)
    read = stream.read(0, 50, 16)
    assert stream.unique_samples == 50

    images, captions = ShapesStream(ShapesOptions(seed=3), 0).read(0, 50, 16)
    theirs = sorted(zip(captions, (image.tobytes() for image in images), strict=True))
    ours = sorted(zip(read.captions, (image.tobytes() for image in read.images), strict=True))
    assert [caption for caption, _ in ours] == [caption for caption, _ in theirs]
    if form != "jpg":
        assert ours == theirs


def test_shards_hold_the_set_that_unique_trains_on(tmp_path: Path) -> None:
    write(made(tmp_path))
    finite = ShapesStream(ShapesOptions(seed=3, unique=50), seed=8).read(0, 50, 16)

    captions = [
        files["txt"].decode()
        for shard in sorted(tmp_path.glob("*.tar"))
        for files in read_shard(shard).values()
    ]

    assert sorted(captions) == sorted(finite.captions)


def test_the_layout_is_that_of_img2dataset(tmp_path: Path) -> None:
    write(made(tmp_path))

    assert sorted(path.name for path in tmp_path.iterdir()) == [
        name for n in range(3) for name in (f"{n:05d}.tar", f"{n:05d}_stats.json")
    ]
    samples = read_shard(tmp_path / "00002.tar")
    assert list(samples) == [f"00002{row:04d}" for row in range(10)]
    files = samples["000020003"]
    assert list(files) == ["json", "png", "txt"]
    about = json.loads(files["json"])
    assert about["caption"] == files["txt"].decode()
    assert (about["key"], about["width"], int(about["uid"], 16)) == ("000020003", 16, 43)


def test_whole_shards_are_kept_and_the_others_are_made_as_they_would_have_been(
    tmp_path: Path,
) -> None:
    write(made(tmp_path))
    before = {path: path.read_bytes() for path in tmp_path.glob("*.tar")}
    kept = (tmp_path / "00000.tar").stat().st_mtime_ns
    (tmp_path / "00001.tar").unlink()

    assert write(made(tmp_path)) == 30

    assert {path: path.read_bytes() for path in tmp_path.glob("*.tar")} == before
    assert (tmp_path / "00000.tar").stat().st_mtime_ns == kept


def test_shards_of_another_set_are_refused_and_left_alone(tmp_path: Path) -> None:
    write(made(tmp_path))
    with pytest.raises(DataError, match=r"00000\.tar is there .*\(seed 3 there, 4 here\)"):
        write(made(tmp_path, seed=4))
    with pytest.raises(DataError, match=r"00002\.tar .*\(samples 10 there, 20 here\)"):
        write(made(tmp_path, samples=100))

    (tmp_path / "00000_stats.json").unlink()
    with pytest.raises(DataError, match="not from this command"):
        write(made(tmp_path))


def test_a_shard_that_another_process_writes_is_refused(tmp_path: Path) -> None:
    with (
        new_shard(tmp_path / "00000.tar", {}),
        pytest.raises(DataError, match="another process is writing it"),
    ):
        write(made(tmp_path))


def test_where_nothing_can_be_written_the_path_and_the_reason_are_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(DataError, match=r"file/00000\.tar: cannot be written: (Not a|File ex)"):
        write(made(tmp_path / "file"))


def test_a_failure_leaves_no_shard(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), new_shard(tmp_path / "00000.tar", {}):
        raise ZeroDivisionError

    assert not (tmp_path / "00000.tar").exists()


def test_killed_in_the_middle_it_goes_on_to_the_same_shards(tmp_path: Path) -> None:
    program = (
        "from pathlib import Path\n"
        "from test_make_shards import made\n"
        "import sys, time\n"
        "made(Path(sys.argv[1])).write(lambda count: time.sleep(0.02))\n"
    )
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path]),
    }
    victim = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], env=environment)
    deadline = time.monotonic() + 60
    while not (tmp_path / ".00001.tar.part").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    assert (tmp_path / "00000.tar").exists()
    assert not (tmp_path / "00001.tar").exists()

    assert write(made(tmp_path)) == 20

    whole = tmp_path / "whole"
    write(made(whole))
    for path in whole.iterdir():
        assert path.read_bytes() == (tmp_path / path.name).read_bytes()
    assert not list(tmp_path.glob(".*"))


def test_larger_pictures_show_the_same_scenes(tmp_path: Path) -> None:
    small, large = ShapesOptions(), ShapesOptions()
    shards = ShapesShards(
        folder=tmp_path, samples=4, shard_size=4, image_size=64, format="png", options=large
    )
    write(shards)
    assert shards.pattern == f"{tmp_path}/00000.tar"

    stream = DATASETS.get("webdataset").open(
        WebdatasetOptions(shards=shards.pattern, crop="center"), 0
    )
    read = stream.read(0, 4, 64)

    images, captions = ShapesStream(small, 0).read(0, 4, 64)
    order = [list(captions).index(caption) for caption in read.captions]
    np.testing.assert_array_equal(read.images, images[order])
