"""Sixty-four attempts that speak at once, and a store that somebody else has locked meanwhile."""

import math
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path

import pytest
from fake_trainer import METRICS
from small_plans import Runs, counts, plan_of

from scaling.orchestrator.executor import Died, Done
from scaling.orchestrator.worker import Message, attempt
from scaling.plan import PlannedTrial, Resources
from scaling.store import sqlite
from scaling.trial import Work

RANKS = 64
GRID = {
    "schedules": ["cosine"],
    "samples_seen": [640],
    "seeds": [*range(RANKS)],
}


class Place:
    """One of many slots in this process."""

    def __init__(self, trainer: str) -> None:
        self._trainer = trainer
        self.messages: Iterator[Message] | None = None

    def start(self, work: Work, log: Path) -> None:
        self.messages = attempt(self._trainer, work, log)


class AllAtOnce:
    """As many slots as there are trials, which all speak in each round."""

    def __init__(self, trainer: str) -> None:
        self._places = [Place(trainer) for _ in range(RANKS)]

    def prepare(self, trials: Sequence[PlannedTrial]) -> int:
        return RANKS

    def share(self, resources: Resources) -> float:
        return 1 / RANKS

    def longest(self, resources: Resources) -> float:
        return 0.0

    def expect(self, slot: Place, seconds: float) -> None:
        pass

    def free(self, resources: Resources, seconds: float = math.inf) -> Place | None:
        return next((place for place in self._places if place.messages is None), None)

    def wait(self, seconds: float) -> list[tuple[Place, Message | Died | Done]]:
        found: list[tuple[Place, Message | Died | Done]] = []
        for place in self._places:
            if place.messages is not None:
                said = list(islice(place.messages, 5))
                found += [(place, message) for message in said]
                if len(said) < 5:
                    place.messages = None
                    found.append((place, Done()))
        return found

    def node(self, slot: object) -> str:
        return "here"

    def leave_out(self, node: str) -> bool:
        return False

    def drop(self, slot: Place) -> None:
        slot.messages = None

    def stop(self) -> None:
        for place in self._places:
            place.messages = None


def lock(db: Path, seconds: float, begun: threading.Event) -> None:
    """Keep everybody else from writing the store, as a stray `sqlite3` would."""
    with closing(sqlite3.connect(db, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        begun.set()
        time.sleep(seconds)
        connection.execute("ROLLBACK")


def test_a_burst_of_events_is_recorded_once_each_though_the_store_is_locked_for_a_while(
    tmp_path: Path, here: Runs, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    here.run(plan_of(**GRID))
    monkeypatch.setattr(sqlite, "_BUSY_MILLISECONDS", 50)
    burst = Runs(tmp_path / "burst", AllAtOnce)
    wait, begun = AllAtOnce.wait, threading.Event()
    rounds = 0

    def wait_and_lock(
        self: AllAtOnce, seconds: float
    ) -> list[tuple[Place, Message | Died | Done]]:
        nonlocal rounds
        rounds += 1
        found = wait(self, seconds)
        if rounds == 2:
            threading.Thread(target=lock, args=[burst.db, 1.0, begun]).start()
            assert begun.wait(10)
        return found

    monkeypatch.setattr(AllAtOnce, "wait", wait_and_lock)
    outcome = burst.run(plan_of(**GRID))

    assert counts(outcome) == (RANKS, 0, 0, 0, RANKS * len(METRICS))
    assert burst.results() == here.results()
    assert "database is locked; nothing starts until this can be written again" in caplog.text
    assert "what runs goes on, and keeps its results in its journals" in caplog.text
    started = [state for _, state, _ in burst.show.told[:RANKS]]
    assert started == ["running"] * RANKS
