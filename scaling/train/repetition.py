"""How often a trial has gone through its training set."""

from scaling.datasets import DATASETS
from scaling.errors import DataError
from scaling.trial import Trial


def epochs_at(trial: Trial, samples_seen: int, image_size: int) -> float | None:
    """Samples seen / different samples; None if those are endless or not known by then.

    A function of trial and samples seen alone: what the stream that is trained on knows of its
    set depends on how far ahead it was read, so a stream of its own is asked. That a measurement
    is made where the training set is missing is no error.
    """
    dataset = DATASETS.get(trial.data.kind)
    try:
        stream = dataset.open(dataset.options.model_validate(trial.data.options), trial.seed)
        if stream.unique_samples is None:
            # Parts of a set are counted as they are first reached.
            stream.read(samples_seen - 1, 1, image_size)
    except DataError:
        return None
    unique = stream.unique_samples
    return None if unique is None else samples_seen / unique
