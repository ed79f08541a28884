import threading
import time

import numpy as np
import pytest

from scaling.datasets import DATASETS
from scaling.datasets._cores import cores, in_threads
from scaling.datasets._prefetch import ReadAhead

STEP, UNTIL = 8, 80


@pytest.mark.parametrize("ahead", [0, 1, 3])
def test_what_is_read_ahead_is_what_would_have_been_read(ahead: int) -> None:
    shapes = DATASETS.get("shapes")
    stream = shapes.open(shapes.options(unique=50), 0)
    batches = ReadAhead(
        lambda first: stream.read(first, STEP, 16), step=STEP, until=UNTIL, ahead=ahead
    )

    for first in range(0, UNTIL, STEP):
        images, captions = batches.at(first)
        expected = shapes.open(shapes.options(unique=50), 0).read(first, STEP, 16)
        np.testing.assert_array_equal(images, expected.images)
        assert captions == expected.captions
    batches.close()


def test_later_batches_are_read_while_the_first_is_used_but_none_beyond_the_end() -> None:
    read: list[int] = []
    batches = ReadAhead(lambda first: read.append(first) or first, step=8, until=30, ahead=2)

    assert batches.at(0) == 0
    wait_for(lambda: len(read) == 3)
    for first in (8, 16, 24):
        assert batches.at(first) == first
    batches.close()

    assert read == [0, 8, 16, 24]


def test_a_failure_comes_where_the_batch_is_asked_for() -> None:
    def read(first: int) -> int:
        if first == 16:
            raise ValueError("broken at 16")
        return first

    batches = ReadAhead(read, step=8, until=80, ahead=3)

    assert [batches.at(0), batches.at(8)] == [0, 8]
    with pytest.raises(ValueError, match="broken at 16"):
        batches.at(16)
    batches.close()


def test_its_thread_ends_with_it() -> None:
    before = threading.active_count()
    batches = ReadAhead(lambda first: first, step=8, until=800, ahead=3)
    batches.at(0)
    assert threading.active_count() > before

    del batches

    wait_for(lambda: threading.active_count() <= before)


def test_a_process_with_one_core_reads_nothing_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    read: list[int] = []

    ReadAhead(lambda first: read.append(first), step=8, until=80).at(0)

    assert read == [0]


def test_rows_are_each_read_once_whatever_the_number_of_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for number in ("1", "3"):
        monkeypatch.setenv("OMP_NUM_THREADS", number)
        rows: list[int] = []
        in_threads(rows.append, range(50))
        assert (cores(), sorted(rows)) == (int(number), list(range(50)))


def wait_for(condition: object) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
