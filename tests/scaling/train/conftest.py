from collections.abc import Callable
from pathlib import Path

import pytest

from scaling.train import train
from scaling.trial import Checkpoint, Event, Stop, Trial, Work


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., list[Event]]:
    """Do a piece of work in a folder of its own."""
    attempts = iter(range(1, 100))

    def run(
        trial: Trial, at: tuple[Stop, ...], checkpoints: tuple[Checkpoint, ...] = ()
    ) -> list[Event]:
        attempt = next(attempts)
        directory = tmp_path / f"work-{attempt}"
        work = Work(
            trial=trial, stops=at, checkpoints=checkpoints, directory=directory, attempt=attempt
        )
        return list(train(work, device="cpu"))

    return run
