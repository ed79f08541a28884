"""The training loop: a generator, without callback, logger object or database."""

import logging
import math
import time
from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from scaling.datasets import DATASETS, Stream
from scaling.datasets._prefetch import ReadAhead
from scaling.errors import NoRoomError
from scaling.evals._evaluation import Evaluation
from scaling.evals._measured import Measured, measure
from scaling.evals._subject import NotFiniteError, Subject
from scaling.families import FAMILIES, World
from scaling.families._images import to_inputs
from scaling.families._tokenizers import tokenize
from scaling.storage import fetched
from scaling.train import checkpoints
from scaling.train.distributed import Meeting
from scaling.train.failures import Diverged, Preempted
from scaling.train.gradients import ALONE
from scaling.train.journal import Journal, Result
from scaling.train.leaving import Leaving
from scaling.train.pace import Pace
from scaling.train.repetition import epochs_at
from scaling.train.room import once_there_is_room
from scaling.train.rows import check_together, local_rows
from scaling.train.session import Session
from scaling.trial import (
    Checkpoint,
    Cooldown,
    CurvePoint,
    Event,
    Measurement,
    Note,
    Progress,
    Stop,
    Throughput,
    Trial,
    Work,
)
from scaling.units import format_count

logger = logging.getLogger(__name__)

_SECONDS_BETWEEN_REPORTS = 0.3

Phase = Literal["train", "evaluate", "save"]
Arrays = tuple[NDArray[np.uint8], NDArray[np.int64]]
"""Images and tokens of a batch."""


def train(work: Work, *, device: str | None = None, world: World = ALONE) -> Iterator[Event]:
    """Bring `work.trial` to each of its stops, and yield each result once it is on the disk.

    Training starts from the last of `work.checkpoints` before a stop. At a stop that has its
    checkpoint already, nothing is trained or saved; its tasks are measured. Results do not depend
    on where a trial was interrupted: on a CPU they are the same to the last bit.

    All processes of `world` call this with the same `work`, in a process group that is theirs (see
    `scaling.train.ranks`). Each computes its rows of every batch; rank 0 alone saves, measures
    and yields, the others yield `Progress` only.

    When `work.stop_file` is made, or `work.deadline` is near, a checkpoint is saved between two
    steps and `Preempted` raised; from there the trial goes on as if it had not been stopped.

    While the disk has no room for a result, it is tried again for a while.

    Raises `Diverged`, `CheckpointError`, `DataError`, `NoRoomError` or `Preempted`.
    """
    events = _visit_stops(work, place(device), world)
    if world.rank:
        yield from (event for event in events if isinstance(event, Progress))
    else:
        yield from journaled(events, work)


def place(device: str | None) -> torch.device:
    """Where an attempt computes; unless said, on a GPU if there is one."""
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if where.type == "cpu":
        # Sums depend on the number of threads, and one thread per trial is also the fastest way
        # to use the cores: trials run side by side.
        torch.set_num_threads(1)
    return where


def journaled(events: Iterable[Event], work: Work) -> Iterator[Event]:
    """Each of the `events` of an attempt, results once they are in its journal."""
    journal = Journal(work.directory, work.attempt)
    here = Progress(trial_id=work.trial.id, samples_seen=0, loss=math.nan, samples_per_second=0.0)
    try:
        for event in events:
            if isinstance(event, Progress):
                here = event
            if isinstance(event, Progress | Note | Throughput):
                yield event
            else:
                yield (yield from _recorded(event, journal, here))
    finally:
        journal.close()


def _recorded(result: Result, journal: Journal, here: Progress) -> Generator[Event, None, Result]:
    """`result`, once it is in the journal; an attempt that last was `here` says that it waits."""
    waiting = replace(here, samples_seen=result.samples_seen, samples_per_second=0.0, phase="save")
    try:
        return (yield from once_there_is_room(lambda: journal.record(result), lambda: waiting))
    except NoRoomError:
        if isinstance(result, Checkpoint):
            # Nobody will ever hear of it.
            result.path.unlink(missing_ok=True)
        raise


def _visit_stops(work: Work, device: torch.device, world: World) -> Iterator[Event]:
    check_together(work.trial, work.execution, world)
    _check_sets(work, world)
    session, meeting = None, Meeting(world)
    pace = Pace(work.trial.id, world.size)
    leaving = Leaving(work, meeting)
    for stop in work.stops:
        session = session or Session(work.trial, device, world, work.execution)
        _go_to_latest_checkpoint(session, stop, work)
        if session.samples_seen < stop.samples_seen:
            yield from _train_to(session, stop.samples_seen, pace, leaving)
        if session.samples_seen < stop.samples_seen:
            yield from _save(session, work, pace, forced=True)
            meeting.wait()
            raise Preempted(f"saved and stopped at {session.samples_seen:,} samples seen")
        if not _own_checkpoint(work, stop):
            began = time.monotonic()
            yield from _save(session, work, pace)
            leaving.seconds_to_save = time.monotonic() - began
        if stop.tasks:
            yield from _measure(session, stop, work.evaluation or Evaluation(), leaving)
        meeting.wait()


def _check_sets(work: Work, world: World) -> None:
    """Raise `DataError` for an evaluation set that is not here, before anything is trained."""
    evaluation = work.evaluation or Evaluation()
    names = dict.fromkeys(name for stop in work.stops for name in stop.tasks)
    for name in names if world.rank == 0 else ():
        evaluation.task(name).check(evaluation.sets)


def _save(session: Session, work: Work, pace: Pace, *, forced: bool = False) -> Iterator[Event]:
    yield _progress(session, "save")
    state = session.state()
    if session.world.rank == 0:
        yield from pace.so_far()
        saved = yield from once_there_is_room(
            lambda: checkpoints.save(
                state,
                work.directory,
                trial_id=work.trial.id,
                samples_seen=session.samples_seen,
                attempt=work.attempt,
            ),
            lambda: _progress(session, "save"),
        )
        yield replace(saved, forced=forced)


def _own_checkpoint(work: Work, stop: Stop) -> bool:
    wanted = (work.trial.id, stop.samples_seen)
    return any((c.trial_id, c.samples_seen) == wanted for c in work.checkpoints)


def _go_to_latest_checkpoint(session: Session, stop: Stop, work: Work) -> None:
    """Restore the last checkpoint at or before `stop`, unless the session has got further."""
    trial = work.trial
    usable = [
        checkpoint
        for checkpoint in work.checkpoints
        if checkpoint.samples_seen <= stop.samples_seen and _is_start_of(trial, checkpoint)
    ]
    latest = max(usable, key=lambda checkpoint: checkpoint.samples_seen, default=None)
    if latest is not None and latest.samples_seen > session.samples_seen:
        where = torch.device("cpu") if session.is_sharded else session.device
        with fetched(latest, work.storage) as here:
            session.restore(checkpoints.load(here, where, mapped=session.is_sharded))
    if session.samples_seen == 0 and isinstance(trial, Cooldown):
        raise ValueError(f"{trial.id}: a cooldown starts from its trunk's checkpoint")


def _is_start_of(trial: Trial, checkpoint: Checkpoint) -> bool:
    if checkpoint.trial_id == trial.id:
        return True
    return isinstance(trial, Cooldown) and (
        (checkpoint.trial_id, checkpoint.samples_seen) == (trial.trunk.id, trial.branch_point)
    )


def _train_to(
    session: Session, samples_seen: int, pace: Pace, leaving: Leaving
) -> Iterator[Event]:
    """Train up to `samples_seen`, or less if it is time to leave."""
    trial = session.trial
    batch_size = trial.recipe.batch_size
    if (samples_seen - session.samples_seen) % batch_size:
        raise ValueError(
            f"{trial.id}: {session.samples_seen:,} to {samples_seen:,} samples are not whole "
            f"batches of {batch_size}"
        )
    stream = _open(trial)
    batches = _batches(stream, session, samples_seen)
    reported_at, reported_samples = time.monotonic(), session.samples_seen
    while session.samples_seen < samples_seen:
        before = session.samples_seen
        images, tokens = batches.at(before)
        session.step(
            to_inputs(images, session.device),
            torch.from_numpy(tokens).to(session.device, non_blocking=True),
        )
        pace.step(session.samples_seen)
        for text in session.adapting.notes():
            yield Note(trial_id=trial.id, text=text)
        leaves = leaving.is_due_after_step()
        now = time.monotonic()
        is_report = now - reported_at >= _SECONDS_BETWEEN_REPORTS
        is_curve_point = _crosses_curve_point(before, session.samples_seen)
        is_last = leaves or session.samples_seen >= samples_seen
        if not (is_report or is_curve_point or is_last or session.device.type == "cpu"):
            continue
        session.check()
        if is_curve_point and math.isfinite(loss := session.loss.item()):
            yield CurvePoint(trial_id=trial.id, samples_seen=session.samples_seen, loss=loss)
        if is_report and math.isfinite(session.loss.item()):
            rate = (session.samples_seen - reported_samples) / (now - reported_at)
            yield _progress(session, "train", rate)
            reported_at, reported_samples = now, session.samples_seen
        if leaves:
            break
    pace.pause(session.samples_seen)
    if stream.skipped:
        logger.warning(
            "%s: %d samples up to %s were broken; others took their places",
            trial.id,
            stream.skipped,
            format_count(samples_seen),
        )


def _batches(stream: Stream, session: Session, until: int) -> "ReadAhead[Arrays]":
    """This process's rows of the batches before `until`, read while the step before is taken."""
    trial = session.trial
    config = FAMILIES.get(trial.family).models[trial.model]
    rows = local_rows(trial, session.world)

    def read(first: int) -> Arrays:
        samples = stream.read(first + rows.start, rows.stop - rows.start, config.image_size)
        return samples.images, tokenize(samples.captions, config)

    return ReadAhead(read, step=trial.recipe.batch_size, until=until)


def _measure(
    session: Session, stop: Stop, evaluation: Evaluation, leaving: Leaving
) -> Iterator[Event]:
    network = session.whole_network()
    if session.world.rank:
        # That it waits for rank 0, which may take long.
        yield _progress(session, "evaluate")
        return
    trial = session.trial
    config = FAMILIES.get(trial.family).models[trial.model]
    epochs = epochs_at(trial, stop.samples_seen, config.image_size)
    subject = Subject(network, config, evaluation, family=session.family)
    for name in stop.tasks:
        if leaving.is_due():
            raise Preempted(f"stopped at {stop.samples_seen:,} samples seen, before {name}")
        yield _progress(session, "evaluate")
        with session.evaluating(network):
            try:
                found = measure(evaluation.task(name), subject)
            except NotFiniteError as error:
                raise Diverged(stop.samples_seen, session.loss.item()) from error
        yield from events_about(found, trial.id, stop.samples_seen, name, epochs)


def events_about(
    found: Measured, trial_id: str, samples_seen: int, task: str, epochs: float | None
) -> Iterator[Event]:
    """What is told of a task that was measured."""
    if found.skipped_images:
        text = f"{task}: pictures left out, as they do not decode: {found.skipped_images:,}"
        yield Note(trial_id=trial_id, text=text)
    for metric, value in found.values.items():
        yield Measurement(
            trial_id=trial_id,
            samples_seen=samples_seen,
            task=task,
            metric=metric,
            value=value,
            epochs=epochs,
            evaluation_set=found.evaluation_set,
            skipped_images=found.skipped_images,
        )


def _open(trial: Trial) -> Stream:
    dataset = DATASETS.get(trial.data.kind)
    return dataset.open(dataset.options.model_validate(trial.data.options), trial.seed)


def _progress(session: Session, phase: Phase, samples_per_second: float = 0.0) -> Progress:
    return Progress(
        trial_id=session.trial.id,
        samples_seen=session.samples_seen,
        loss=session.loss.item(),
        samples_per_second=samples_per_second,
        phase=phase,
        gpu_bytes=torch.cuda.max_memory_reserved() if session.device.type == "cuda" else 0,
    )


def _crosses_curve_point(before: int, after: int) -> bool:
    """Whether one of the fixed counts 2**(k/4) lies in (before, after]; the first step always."""
    return before == 0 or math.floor(4 * math.log2(after)) > math.floor(4 * math.log2(before))
