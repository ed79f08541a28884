"""The training loop: a generator, without callback, logger object or database."""

import math
import time
from collections.abc import Iterator
from typing import Literal

import torch

from scaling.datasets import DATASETS, Stream
from scaling.evals import TASKS
from scaling.families import FAMILIES
from scaling.families._images import to_inputs
from scaling.families._tokenizers import tokenize
from scaling.train import checkpoints
from scaling.train.journal import Journal
from scaling.train.repetition import epochs_at
from scaling.train.session import Session
from scaling.trial import (
    Checkpoint,
    Cooldown,
    CurvePoint,
    Event,
    Measurement,
    Progress,
    Stop,
    Trial,
    Work,
)

_SECONDS_BETWEEN_REPORTS = 0.3

Phase = Literal["train", "evaluate", "save"]


def train(work: Work, *, device: str | None = None) -> Iterator[Event]:
    """Bring `work.trial` to each of its stops, and yield each result once it is on the disk.

    Training starts from the last of `work.checkpoints` before a stop. At a stop that has its
    checkpoint already, nothing is trained or saved; its tasks are measured. Results do not depend
    on where a trial was interrupted: on a CPU they are the same to the last bit.

    Raises `Diverged`, `CheckpointError`, `DataError` or `ResourceError`.
    """
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if where.type == "cpu":
        # Sums depend on the number of threads, and one thread per trial is also the fastest way
        # to use the cores: trials run side by side.
        torch.set_num_threads(1)
    journal = Journal(work.directory, work.attempt)
    try:
        yield from _visit_stops(work, where, journal)
    finally:
        journal.close()


def _visit_stops(work: Work, device: torch.device, journal: Journal) -> Iterator[Event]:
    trial, session = work.trial, None
    for stop in work.stops:
        session = _session_at_or_before(stop, work, session, device)
        if session.samples_seen < stop.samples_seen:
            yield from _train_to(session, stop.samples_seen, journal)
        if not _own_checkpoint(work, stop):
            yield _progress(session, "save")
            yield journal.record(
                checkpoints.save(
                    session.state(),
                    work.directory,
                    trial_id=trial.id,
                    samples_seen=stop.samples_seen,
                    attempt=work.attempt,
                )
            )
        yield from _measure(session, stop, journal)


def _own_checkpoint(work: Work, stop: Stop) -> bool:
    wanted = (work.trial.id, stop.samples_seen)
    return any((c.trial_id, c.samples_seen) == wanted for c in work.checkpoints)


def _session_at_or_before(
    stop: Stop, work: Work, session: Session | None, device: torch.device
) -> Session:
    """Where to continue from: the session in hand, a later checkpoint, or fresh weights."""
    trial = work.trial
    usable = [
        checkpoint
        for checkpoint in work.checkpoints
        if checkpoint.samples_seen <= stop.samples_seen and _is_start_of(trial, checkpoint)
    ]
    latest = max(usable, key=lambda checkpoint: checkpoint.samples_seen, default=None)
    if session is None:
        if latest is None and isinstance(trial, Cooldown):
            raise ValueError(f"{trial.id}: a cooldown starts from its trunk's checkpoint")
        session = Session(trial, device)
    if latest is not None and latest.samples_seen > session.samples_seen:
        session.restore(checkpoints.load(latest, device))
    return session


def _is_start_of(trial: Trial, checkpoint: Checkpoint) -> bool:
    if checkpoint.trial_id == trial.id:
        return True
    return isinstance(trial, Cooldown) and (
        (checkpoint.trial_id, checkpoint.samples_seen) == (trial.trunk.id, trial.branch_point)
    )


def _train_to(session: Session, samples_seen: int, journal: Journal) -> Iterator[Event]:
    trial = session.trial
    batch_size = trial.recipe.batch_size
    if (samples_seen - session.samples_seen) % batch_size:
        raise ValueError(
            f"{trial.id}: {session.samples_seen:,} to {samples_seen:,} samples are not whole "
            f"batches of {batch_size}"
        )
    config = FAMILIES.get(trial.family).models[trial.model]
    stream = _open(trial)
    reported_at, reported_samples = time.monotonic(), session.samples_seen
    while session.samples_seen < samples_seen:
        before = session.samples_seen
        samples = stream.read(before, batch_size, config.image_size)
        tokens = torch.from_numpy(tokenize(samples.captions, config))
        session.step(
            to_inputs(samples.images, session.device),
            tokens.to(session.device, non_blocking=True),
        )
        now = time.monotonic()
        is_report = now - reported_at >= _SECONDS_BETWEEN_REPORTS
        is_curve_point = _crosses_curve_point(before, session.samples_seen)
        is_last = session.samples_seen >= samples_seen
        if not (is_report or is_curve_point or is_last or session.device.type == "cpu"):
            continue
        session.check()
        if is_curve_point and math.isfinite(loss := session.loss.item()):
            yield journal.record(
                CurvePoint(trial_id=trial.id, samples_seen=session.samples_seen, loss=loss)
            )
        if is_report and math.isfinite(session.loss.item()):
            rate = (session.samples_seen - reported_samples) / (now - reported_at)
            yield _progress(session, "train", rate)
            reported_at, reported_samples = now, session.samples_seen


def _measure(session: Session, stop: Stop, journal: Journal) -> Iterator[Event]:
    trial = session.trial
    config = FAMILIES.get(trial.family).models[trial.model]
    epochs = epochs_at(trial, stop.samples_seen, config.image_size) if stop.tasks else None
    for name in stop.tasks:
        yield _progress(session, "evaluate")
        with session.evaluating():
            values = TASKS.get(name).measure(session.network, config)
        for metric, value in values.items():
            yield journal.record(
                Measurement(
                    trial_id=trial.id,
                    samples_seen=stop.samples_seen,
                    task=name,
                    metric=metric,
                    value=value,
                    epochs=epochs,
                )
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
    )


def _crosses_curve_point(before: int, after: int) -> bool:
    """Whether one of the fixed counts 2**(k/4) lies in (before, after]; the first step always."""
    return before == 0 or math.floor(4 * math.log2(after)) > math.floor(4 * math.log2(before))
