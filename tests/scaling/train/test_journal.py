import subprocess
import sys
from pathlib import Path

import pytest
from small_trials import stops, trunk

from scaling.errors import StoreError
from scaling.train import read_journal, train
from scaling.train.journal import Journal
from scaling.trial import Checkpoint, CurvePoint, Measurement, Progress, Throughput, Work

RESULTS = [
    CurvePoint(trial_id="t", samples_seen=32, loss=3.4657359027997265),
    Checkpoint(trial_id="t", samples_seen=64, path=Path("/x/64.pt"), sha256="ab" * 32, bytes=7),
    Measurement(trial_id="t", samples_seen=64, task="task", metric="acc1", value=0.1),
]


def write(directory: Path, attempt: int = 1, results: list[object] = RESULTS) -> Path:
    journal = Journal(directory, attempt)
    for result in results:
        assert journal.record(result) is result
    journal.close()
    return directory / f"journal-{attempt}.jsonl"


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    write(tmp_path)

    assert read_journal(tmp_path) == RESULTS


def test_a_torn_last_line_was_never_written(tmp_path: Path) -> None:
    path = write(tmp_path)
    path.write_bytes(path.read_bytes()[:-9])

    assert read_journal(tmp_path) == RESULTS[:2]


def test_a_line_from_before_epochs_were_recorded_has_none(tmp_path: Path) -> None:
    (tmp_path / "journal-1.jsonl").write_text(
        '{"event": "Measurement", "trial_id": "t", "samples_seen": 64, "task": "task", '
        '"metric": "acc1", "value": 0.1}\n'
    )

    assert read_journal(tmp_path) == [RESULTS[2]]


def test_writing_goes_on_after_a_torn_line(tmp_path: Path) -> None:
    path = write(tmp_path)
    path.write_bytes(path.read_bytes()[:-9])

    write(tmp_path, results=RESULTS[2:])

    assert read_journal(tmp_path) == RESULTS


def test_attempts_are_read_in_their_order(tmp_path: Path) -> None:
    for attempt, result in [(10, RESULTS[2]), (2, RESULTS[1]), (1, RESULTS[0])]:
        write(tmp_path, attempt, [result])

    assert read_journal(tmp_path) == RESULTS


def test_an_empty_folder_has_an_empty_journal(tmp_path: Path) -> None:
    assert read_journal(tmp_path) == []
    assert read_journal(tmp_path / "missing") == []


def test_a_line_that_is_no_result_is_an_error_that_names_its_place(tmp_path: Path) -> None:
    path = write(tmp_path)
    path.write_bytes(b'{"event": "Party"}\n' + path.read_bytes())

    with pytest.raises(StoreError, match=r"journal-1.jsonl:1: not a line of a journal"):
        read_journal(tmp_path)


def test_every_result_is_on_disk_before_it_is_yielded(tmp_path: Path) -> None:
    work = Work(trial=trunk(), stops=stops(64), checkpoints=(), directory=tmp_path)
    results = []
    for event in train(work, device="cpu"):
        if not isinstance(event, Progress | Throughput):
            results.append(event)
            assert read_journal(tmp_path) == results
            assert not isinstance(event, Checkpoint) or event.path.exists()

    assert [type(result) for result in results[-3:]] == [Checkpoint, Measurement, Measurement]


def test_the_driver_reads_journals_without_torch() -> None:
    program = "import sys; from scaling.train import train, read_journal; 'torch' in sys.modules"
    program += " and sys.exit('imported torch')"
    subprocess.run([sys.executable, "-c", program], check=True)
