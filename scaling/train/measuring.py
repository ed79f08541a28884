"""Measuring checkpoints that are there: nothing is trained or saved, and no optimizer is made."""

import math
from collections.abc import Iterator

import torch
from torch import nn

from scaling.evals._evaluation import Evaluation
from scaling.evals._measured import measure as measured
from scaling.evals._subject import Subject
from scaling.families import FAMILIES, World, find_model
from scaling.families._images import CLIP_PREPROCESSING
from scaling.foreign import Foreign
from scaling.storage import fetched
from scaling.train import checkpoints
from scaling.train.distributed import Meeting
from scaling.train.failures import CheckpointError, Preempted
from scaling.train.gradients import ALONE
from scaling.train.leaving import Leaving
from scaling.train.repetition import epochs_at
from scaling.train.worker import events_about, journaled, place
from scaling.trial import Checkpoint, Event, Progress, Stop, Work
from scaling.weights.loading import load_network


def measure(work: Work, *, device: str | None = None, world: World = ALONE) -> Iterator[Event]:
    """Measure the tasks of each of `work.stops` on the trial's checkpoint there.

    That is one of `work.checkpoints`, or the file of a `Foreign` trial. On a CPU the results are
    to the last bit those that the trainer finds at that checkpoint.

    Raises `CheckpointError` if the file is missing or another one than was recorded,
    `WeightsError` if it holds other weights, `DataError`, `NotFiniteError` or `Preempted`.
    """
    assert world.size == 1, "a checkpoint is measured by one process"
    yield from journaled(_visit_stops(work, place(device)), work)


def _visit_stops(work: Work, device: torch.device) -> Iterator[Event]:
    trial, evaluation = work.trial, work.evaluation or Evaluation()
    leaving = Leaving(work, Meeting(ALONE))
    config = find_model(trial.family, trial.model)
    foreign = trial if isinstance(trial, Foreign) else None
    for stop in work.stops:
        subject = Subject(
            _network(work, stop).to(device),
            config,
            evaluation,
            family=FAMILIES.get(trial.family),
            preprocessing=foreign.preprocessing if foreign else CLIP_PREPROCESSING,
        )
        epochs = None if foreign else epochs_at(trial, stop.samples_seen, config.image_size)
        for name in stop.tasks:
            if leaving.is_due():
                raise Preempted(f"stopped at {stop.samples_seen:,} samples seen, before {name}")
            yield _progress(work, stop, device)
            with torch.random.fork_rng(devices=[]), torch.inference_mode():
                found = measured(evaluation.task(name), subject)
            yield from events_about(found, trial.id, stop.samples_seen, name, epochs)


def _network(work: Work, stop: Stop) -> nn.Module:
    """The network as it was at a stop, in eval mode on the CPU."""
    trial = work.trial
    if isinstance(trial, Foreign):
        trial.check_file()
        return load_network(trial.file, trial.family, trial.model)
    checkpoint = _checkpoint(work, stop)
    with torch.random.fork_rng(devices=[]):
        network = FAMILIES.get(trial.family).build(trial.model, trial.recipe)
    with fetched(checkpoint, work.storage) as here:
        # Mapped: what the optimizer would need is not read.
        state = checkpoints.load(here, torch.device("cpu"), mapped=True)
        network.load_state_dict(state["network"])
    return network.eval()


def _checkpoint(work: Work, stop: Stop) -> Checkpoint:
    wanted = (work.trial.id, stop.samples_seen)
    for checkpoint in work.checkpoints:
        if (checkpoint.trial_id, checkpoint.samples_seen) == wanted:
            return checkpoint
    raise CheckpointError(
        f"{work.trial.id}: there is no checkpoint at {stop.samples_seen:,} samples seen"
    )


def _progress(work: Work, stop: Stop, device: torch.device) -> Progress:
    return Progress(
        trial_id=work.trial.id,
        samples_seen=stop.samples_seen,
        loss=math.nan,
        samples_per_second=0.0,
        phase="evaluate",
        gpu_bytes=torch.cuda.max_memory_reserved() if device.type == "cuda" else 0,
    )
