"""Training sets, one file per kind.

A module here, `scaling/datasets/KIND.py`, registers the kind by holding a `DATASET` object that
satisfies `Dataset`. Options are validated when a grid is read, on a machine that may have neither
torch nor the data; `open` is called where training happens.
"""

from typing import TYPE_CHECKING, NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict

from scaling.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray


class Options(BaseModel):
    """Base of every kind's options: unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Samples(NamedTuple):
    """Consecutive samples of a training stream."""

    images: "NDArray[np.uint8]"
    """(count, height, width, 3), RGB."""
    captions: "Sequence[str]"


class Stream(Protocol):
    """A training set as an endless sequence, read at any position.

    Sample n is a function of (options, seed, n) alone, so that a resumed trial, a cooldown and an
    uninterrupted trial see the same data, whatever the number of workers that share a batch.
    """

    @property
    def unique_samples(self) -> int | None:
        """Different samples in the set; None if no sample ever repeats, or if it is not known.

        Samples seen / unique samples is the number of epochs over the set.
        """
        ...

    @property
    def skipped(self) -> int:
        """Samples read so far that were broken; others took their places."""
        ...

    def read(self, first: int, count: int, image_size: int) -> Samples:
        """Samples `first` to `first + count - 1`, images `image_size` pixels square."""
        ...


class Dataset(Protocol):
    """A kind of training set."""

    options: type[Options]

    def check(self, options: Options) -> None:
        """Raise `DataError` if the data that `options` name is not on this machine."""
        ...

    def open(self, options: Options, seed: int) -> Stream:
        """The stream of a trial with this seed; raises `DataError` if data is missing."""
        ...


DATASETS: Registry[Dataset] = Registry("dataset kind", "scaling.datasets", "DATASET")
