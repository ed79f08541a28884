"""Attempts that are asked to stop between two steps, by a file or by the clock."""

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_trials import facts, only, stops, trunk

from scaling.train import Preempted, train
from scaling.trial import Checkpoint, CurvePoint, Event, Measurement, Work


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(trial=trunk(), stops=stops(512), checkpoints=(), directory=tmp_path)


def until_preempted(events: Iterator[Event], work: Work, ask_at: int) -> list[Event]:
    """What comes until the attempt leaves; it is asked to after `ask_at` samples."""
    found: list[Event] = []

    def go_on() -> None:
        for event in events:
            found.append(event)
            if isinstance(event, CurvePoint) and event.samples_seen >= ask_at:
                work.stop_file.touch()

    with pytest.raises(Preempted, match="saved and stopped at"):
        go_on()
    return found


def test_a_trial_that_was_asked_to_stop_goes_on_as_if_it_had_not_been(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scaling.train.leaving._SECONDS_BETWEEN_LOOKS", 0.0)
    whole = list(train(dataclasses.replace(work, directory=tmp_path / "whole")))

    events = until_preempted(train(work), work, 128)
    (saved,) = only(Checkpoint, events)
    assert saved.samples_seen == 160  # One more step, which is no stop.
    rest = list(train(dataclasses.replace(work, checkpoints=(saved,), attempt=2)))

    together = [*only(CurvePoint, events), *rest]
    assert facts(together) == facts(whole)
    assert only(Measurement, rest)


def test_an_attempt_leaves_in_time_for_its_deadline(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scaling.train.leaving._SECONDS_TO_SAVE", 0.1)
    deadline = time.time() + 600
    late = dataclasses.replace(work, deadline=deadline)
    monkeypatch.setattr("scaling.train.leaving.time.time", lambda: deadline - 0.14)

    (saved,) = only(Checkpoint, until_preempted(train(late), late, 10**9))

    assert saved.samples_seen == 32


def test_nothing_is_evaluated_after_the_request(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Event] = []

    def go_on() -> None:
        for event in train(work):
            found.append(event)
            if isinstance(event, Checkpoint):
                work.stop_file.touch()
                time.sleep(0.25)

    with pytest.raises(Preempted, match="stopped at 512 samples seen, before shapes_retrieval"):
        go_on()

    assert [saved.samples_seen for saved in only(Checkpoint, found)] == [512]
    assert not only(Measurement, found)
