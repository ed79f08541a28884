"""An attempt on a disk that is full for a while waits, and finds what it would have found."""

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from small_trials import facts, stops, trunk

from scaling.errors import NoRoomError
from scaling.train import read_journal, room, train
from scaling.train.journal import Journal
from scaling.trial import Checkpoint, CurvePoint, Event, Progress, Work


class Disk:
    """A small one, which may be full."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self) -> None:
        with (self.folder / "filler").open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))

    def empty(self) -> None:
        (self.folder / "filler").unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(folder)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted: {mounted.stderr.decode().strip()}")
    yield Disk(folder)
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_FIRST_SECONDS", 0.01)
    monkeypatch.setattr(room, "MOST_SECONDS", 5.0)


def work(directory: Path) -> Work:
    return Work(trial=trunk(), stops=stops(128, 192), checkpoints=(), directory=directory)


def is_saving(event: Event) -> bool:
    return isinstance(event, Progress) and event.phase == "save"


@pytest.mark.parametrize("what", ["checkpoint", "line of the journal"])
def test_what_finds_no_room_is_written_once_there_is_some(
    disk: Disk, tmp_path: Path, what: str
) -> None:
    undisturbed = [*train(work(tmp_path / "undisturbed"))]
    here = disk.folder / "trial"
    found, waited, was_full = [], 0, False

    for event in train(work(here)):
        found.append(event)
        due = is_saving(event) if what == "checkpoint" else isinstance(event, CurvePoint)
        if due and not was_full:
            disk.fill()
            was_full = True
        elif was_full and is_saving(event) and waited < 3:
            waited += 1
            if waited == 3:
                disk.empty()

    assert waited == 3
    assert facts(found) == facts(undisturbed)
    assert facts(read_journal(here)) == facts(undisturbed)
    assert not [*here.glob("*.tmp")]


def test_a_disk_that_stays_full_ends_the_attempt_with_what_it_had(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "MOST_SECONDS", 0.2)
    here = disk.folder / "trial"
    found = []

    def until_it_fails() -> None:
        for event in train(work(here)):
            found.append(event)
            if isinstance(event, Checkpoint):
                disk.fill()

    with pytest.raises(NoRoomError, match="a checkpoint needs"):
        until_it_fails()
    saved = [event for event in found if isinstance(event, Checkpoint)]
    assert [*here.glob("*.pt")] == [event.path for event in saved]
    assert facts(read_journal(here)) == facts(found)


def test_a_line_that_finds_no_room_leaves_the_journal_whole(disk: Disk) -> None:
    journal = Journal(disk.folder, 1)
    first = CurvePoint(trial_id="t", samples_seen=32, loss=3.5)
    journal.record(first)
    # Longer than what is left of the page that the first line began.
    long = CurvePoint(trial_id="t" * 9000, samples_seen=64, loss=3.25)
    disk.fill()

    with pytest.raises(NoRoomError, match=r"journal-1\.jsonl: no room"):
        journal.record(long)
    assert read_journal(disk.folder) == [first]

    disk.empty()
    journal.record(long)
    journal.close()
    assert read_journal(disk.folder) == [first, long]
