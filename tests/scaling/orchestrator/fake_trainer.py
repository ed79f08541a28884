"""A trainer without a network: real files, a real journal, and every way to fail on demand.

It obeys `ROOT/mischief.json`: `{"part of a trial id": {"at": 512, "do": "kill", "times": 1}}`.
"""

import errno
import hashlib
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

from scaling.errors import DataError
from scaling.storage import fetched
from scaling.train import Diverged, Preempted
from scaling.train.journal import Journal
from scaling.trial import (
    Checkpoint,
    CurvePoint,
    Event,
    Measurement,
    Progress,
    Trial,
    Work,
)

METRICS = ("acc1", "acc5")


def train(work: Work) -> Iterator[Event]:
    """Count up to each stop in batches, as `scaling.train.train` would."""
    with closing(Journal(work.directory, work.attempt)) as journal:
        yield from visit(work, journal)


def visit(work: Work, journal: Journal) -> Iterator[Event]:
    trial, seen, saved = work.trial, -1, {c.samples_seen for c in work.checkpoints}
    for stop in work.stops:
        usable = [c for c in work.checkpoints if c.samples_seen <= stop.samples_seen]
        latest = max(usable, key=lambda c: c.samples_seen, default=None)
        if latest is None or latest.samples_seen <= seen:
            seen = max(seen, 0)
        else:
            with fetched(latest, work.storage) as here:
                assert here.path.read_bytes() == content(latest.trial_id, latest.samples_seen)
            seen = latest.samples_seen
        if trial.kind == "cooldown":
            assert seen > 0, "a cooldown starts from a checkpoint"
        while seen < stop.samples_seen:
            if work.stop_file.exists():
                if seen and seen not in saved:
                    yield journal.record(replace(save(work, seen), forced=True))
                raise Preempted(f"saved and stopped at {seen} samples seen")
            seen += trial.recipe.batch_size
            note(work, seen)
            misbehave(work, seen)
            yield journal.record(
                CurvePoint(trial_id=trial.id, samples_seen=seen, loss=number(trial, seen))
            )
            yield Progress(
                trial_id=trial.id, samples_seen=seen, loss=1.0, samples_per_second=1000.0
            )
        mine = (trial.id, stop.samples_seen)
        if mine not in {(c.trial_id, c.samples_seen) for c in work.checkpoints}:
            yield journal.record(save(work, stop.samples_seen))
            saved.add(stop.samples_seen)
        for task in stop.tasks:
            for metric in METRICS:
                misbehave(work, stop.samples_seen, metric)
                yield journal.record(
                    Measurement(
                        trial_id=trial.id,
                        samples_seen=stop.samples_seen,
                        task=task,
                        metric=metric,
                        value=number(trial, stop.samples_seen, task, metric),
                    )
                )


def nothing(work: Work) -> Iterator[Event]:
    """End without having done anything."""
    return iter(())


def fickle(work: Work) -> Iterator[Event]:
    """Say two things about everything that is measured."""
    for event in train(work):
        yield event
        if isinstance(event, Measurement):
            yield replace(event, value=event.value / 2)


def number(trial: Trial, *of: object) -> float:
    """A fraction that depends on nothing but the arguments."""
    digest = hashlib.sha256(repr((trial.id, *of)).encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32


def content(trial_id: str, samples_seen: int) -> bytes:
    return f"{trial_id} after {samples_seen}".encode()


def save(work: Work, samples_seen: int) -> Checkpoint:
    path = work.directory / f"{samples_seen}-{work.attempt}.pt"
    data = content(work.trial.id, samples_seen)
    path.write_bytes(data)
    return Checkpoint(
        trial_id=work.trial.id,
        samples_seen=samples_seen,
        path=path,
        sha256=hashlib.sha256(data).hexdigest(),
        bytes=len(data),
    )


class OutOfMemoryError(Exception):
    """Goes by the name of torch's."""


def die_on_the_first_node(work: Work) -> None:
    """Be killed on the node that this was asked for on first."""
    import ray

    node = ray.get_runtime_context().get_node_id()
    place = work.directory.parent / "poisoned"
    with suppress(FileExistsError), place.open("x") as file:
        file.write(node)
    if place.read_text() == node:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.1)


def wait_for_beside(work: Work) -> None:
    """Train on once what measures beside this has done so, or was killed."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        lines = [p.read_text().count("\n") for p in work.directory.glob("beside-*/journal-*")]
        if sum(lines) == len(METRICS) or list(work.directory.parent.glob("mischief-*beside.done")):
            time.sleep(1)  # Until it has been told.
            return
        time.sleep(0.05)


def hold(work: Work, rows: int) -> None:
    if at_once(work) > rows:
        raise OutOfMemoryError("CUDA out of memory")


def at_once(work: Work) -> int:
    rows = work.execution.micro_batch_size
    return rows if isinstance(rows, int) else work.trial.recipe.batch_size


def note(work: Work, samples_seen: int) -> None:
    """Keep a list of every step that was ever taken."""
    folder = work.storage.scratch / work.trial.id if work.storage else work.directory
    folder.mkdir(exist_ok=True)
    with (folder / "steps.txt").open("a") as file:
        file.write(f"{samples_seen}\n")


def steps(directory: Path) -> list[int]:
    """The steps that `train` took in all attempts."""
    path = directory / "steps.txt"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def misbehave(work: Work, samples_seen: int, metric: str | None = None) -> None:
    places = [parent / "mischief.json" for parent in work.directory.parents[:2]]
    path = next(filter(Path.exists, places), places[0])
    for part, order in (json.loads(path.read_text()) if path.exists() else {}).items():
        at = (order.get("at", samples_seen), order.get("metric"))
        name = f"{work.trial.id} {work.directory.name}"
        if part in name and at == (samples_seen, metric):
            done = path.with_name(f"mischief-{part}.done")
            times = len(done.read_text()) if done.exists() else 0
            if times < order.get("times", 10**9):
                done.write_text("x" * (times + 1))
                do(order["do"], work, samples_seen)


def do(what: str, work: Work, samples_seen: int) -> None:  # noqa: C901  # a list
    match what:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "raise":
            raise ValueError("a bug in the trainer")
        case "diverge":
            raise Diverged(samples_seen, 1e9)
        case "lack":
            raise DataError("the data are not there")
        case "poison":
            die_on_the_first_node(work)
        case "terminate":
            os.kill(os.getpid(), signal.SIGTERM)
        case "leave":
            raise Preempted("stopped at once")
        case "hang":
            time.sleep(3600)
        case "fill":
            raise OSError(errno.ENOSPC, "No space left on device")
        case str() if what.startswith("hold "):
            hold(work, int(what.removeprefix("hold ")))
        case "wait":
            time.sleep(0.05)
        case "wait for beside":
            wait_for_beside(work)
