from pathlib import Path

import pytest
import webdataset
from small_trials import only, stops, trunk

from scaling.datasets import DATASETS
from scaling.train.repetition import epochs_at
from scaling.trial import Data, Measurement, Trunk


def on(kind: str, **options: object) -> Trunk:
    return Trunk(**{**trunk().__dict__, "data": Data(kind=kind, options=options)})


@pytest.fixture
def shards(tmp_path: Path) -> str:
    """Three shards of eight samples each."""
    shapes = DATASETS.get("shapes")
    images, captions = shapes.open(shapes.options(), 0).read(0, 24, 16)
    for shard in range(3):
        with webdataset.TarWriter(str(tmp_path / f"{shard}.tar")) as writer:
            for row in range(8 * shard, 8 * shard + 8):
                sample = {"png": images[row], "txt": captions[row]}
                writer.write({"__key__": f"{row:03d}", **sample})
    return f"{tmp_path}/{{0..2}}.tar"


def test_an_endless_set_has_no_epochs() -> None:
    assert epochs_at(on("shapes"), 4096, 16) is None


def test_epochs_are_samples_seen_over_different_samples(shards: str) -> None:
    assert epochs_at(on("shapes", unique=512), 256, 16) == 0.5
    assert epochs_at(on("webdataset", shards=shards), 60, 16) == 2.5


def test_a_set_of_which_a_part_was_not_reached_yet_is_not_counted(shards: str) -> None:
    assert epochs_at(on("webdataset", shards=shards), 16, 16) is None
    assert epochs_at(on("webdataset", shards=shards), 17, 16) == 17 / 24
    assert epochs_at(on("webdataset", shards=shards, size=24), 6, 16) == 0.25


def test_measuring_needs_no_training_set(tmp_path: Path) -> None:
    assert epochs_at(on("webdataset", shards=f"{tmp_path}/none.tar"), 64, 16) is None


def test_measurements_carry_epochs(run: object) -> None:
    assert callable(run)
    events = run(on("shapes", unique=64), stops(32, 160))

    found = {event.samples_seen: event.epochs for event in only(Measurement, events)}
    assert found == {32: 0.5, 160: 2.5}
