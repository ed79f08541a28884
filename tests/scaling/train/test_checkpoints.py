import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
import torch

from scaling.errors import NoRoomError
from scaling.train import CheckpointError
from scaling.train.checkpoints import load, save
from scaling.trial import Checkpoint

CPU = torch.device("cpu")
STATE = {"weights": torch.arange(1000.0), "samples_seen": 64, "nested": [{"lr": 1e-3}]}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    return save(STATE, tmp_path, trial_id="t", samples_seen=64, attempt=1)


def test_what_is_loaded_is_what_was_saved(checkpoint: Checkpoint) -> None:
    state = load(checkpoint, CPU)

    assert torch.equal(state["weights"], STATE["weights"])
    assert state["nested"] == STATE["nested"]
    assert checkpoint.sha256 == hashlib.sha256(checkpoint.path.read_bytes()).hexdigest()
    assert checkpoint.bytes == checkpoint.path.stat().st_size


def test_the_same_state_has_the_same_digest(checkpoint: Checkpoint) -> None:
    again = save(STATE, checkpoint.path.parent, trial_id="t", samples_seen=64, attempt=2)

    assert again.sha256 == checkpoint.sha256
    assert again.path != checkpoint.path


def test_a_torn_file_is_refused(checkpoint: Checkpoint) -> None:
    with checkpoint.path.open("r+b") as file:
        file.truncate(checkpoint.bytes // 2)

    with pytest.raises(CheckpointError, match="not the file that was saved"):
        load(checkpoint, CPU)


def test_a_changed_byte_is_noticed(checkpoint: Checkpoint) -> None:
    content = bytearray(checkpoint.path.read_bytes())
    content[len(content) // 2] ^= 1
    checkpoint.path.write_bytes(content)

    with pytest.raises(CheckpointError, match="not the file that was saved"):
        load(checkpoint, CPU)


def test_a_missing_file_is_named(checkpoint: Checkpoint) -> None:
    checkpoint.path.unlink()

    with pytest.raises(CheckpointError, match=f"{checkpoint.path}.*missing"):
        load(checkpoint, CPU)


class Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (os.system, ("false",))


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    checkpoint = save({"x": Harmful()}, tmp_path, trial_id="t", samples_seen=1, attempt=1)

    with pytest.raises(CheckpointError, match="something other than a checkpoint"):
        load(checkpoint, CPU)


def test_a_full_disk_is_an_error_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)

    with pytest.raises(NoRoomError, match="KiB are free"):
        save(STATE, tmp_path, trial_id="t", samples_seen=64, attempt=1)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_too_small_is_an_error_and_keeps_what_it_had(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = save(STATE, small_disk, trial_id="t", samples_seen=64, attempt=1)
    large = {"weights": torch.ones(2**20 + 2**18)}

    with pytest.raises(NoRoomError, match=r"a checkpoint needs 8\.5 MiB of disk"):
        save(large, small_disk, trial_id="t", samples_seen=128, attempt=1)

    # Somebody else fills the disk between the look at it and the writing.
    roomy = shutil.disk_usage(small_disk)._replace(free=2**40)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: roomy)
    with pytest.raises(NoRoomError, match="no room was left while a checkpoint was written"):
        save(large, small_disk, trial_id="t", samples_seen=128, attempt=1)
    assert [path.name for path in small_disk.iterdir()] == [first.path.name]
    load(first, CPU)


def test_a_failed_write_leaves_nothing_half_written(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> NoReturn:
        raise OSError("the disk went away")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="went away"):
        save(STATE, checkpoint.path.parent, trial_id="t", samples_seen=128, attempt=1)

    assert list(checkpoint.path.parent.iterdir()) == [checkpoint.path]
