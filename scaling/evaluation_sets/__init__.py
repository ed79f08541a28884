"""Evaluation sets, one file per kind.

A module here, `scaling/evaluation_sets/KIND.py`, registers the kind by holding a `SET` object that
satisfies `EvaluationSet`. Options are validated when a grid is read, on a machine that may have
neither torch nor the data; `open` is called where something is measured.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from scaling.datasets import Options
from scaling.families._images import CLIP_FRAMING, Framing
from scaling.registry import Registry

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Truth = Literal[
    "labels", "multilabel", "captions", "choices", "masks", "associations", "attributes"
]
"""What may be known of each picture: its class, which of all classes it shows, texts that are true
of it, texts of which one is, the class of each of its pixels, the words that bring it to mind,
several classes of different kinds (`Batch.metadata`). A task asks for one of them."""

Half = Literal["training", "scored"]
"""Of a set with masks: what a head is fitted to, and what it is scored on. They are disjoint."""

IGNORED = 255
"""In a mask: nothing is known of the pixel, and it counts nowhere."""

Broken = Literal["error", "skip"]
"""What becomes of a picture that does not decode: the end of the evaluation, or a counted gap."""


class Batch(NamedTuple):
    """Consecutive pictures of a set and what is true of them; what a set does not know is None."""

    images: "NDArray[np.uint8]"
    """(B, S, S, 3), RGB."""
    labels: "NDArray[np.int64] | None" = None
    """(B,) classes; (B, C) of 0 and 1 where the truth is `multilabel`."""
    captions: tuple[tuple[str, ...], ...] | None = None
    """At least one a picture. Where the truth is `choices`, all texts of the picture's group: the
    first goes with the first picture of the group, the second with the second."""
    masks: "NDArray[np.uint8] | None" = None
    """(B, S, S) classes of pixels, or `IGNORED`."""
    metadata: "Mapping[str, NDArray[np.int64]] | None" = None
    """(B,) each: what metrics by group go by, such as a region."""
    groups: "NDArray[np.int64] | None" = None
    """(B,) ascending: pictures with the same texts to choose from; without it, each is alone."""


class Examples(Protocol):
    """An evaluation set, opened: the same pictures in the same order each time."""

    identity: str
    """Of what is read: equal for equal contents, whatever the task and where the files lie."""
    class_names: Sequence[str]
    """At their labels; empty for a set without classes."""
    templates: Sequence[str]
    """Prompts that come with the set, `{c}` where the class name goes; may be empty."""
    skipped: int
    """Pictures so far that did not decode and were left out, if that is allowed."""

    def batches(self, image_size: int, framing: Framing = CLIP_FRAMING) -> Iterator[Batch]:
        """All of it, pictures `image_size` pixels square; raises `DataError`.

        Pictures that a set draws itself are square already, whatever `framing` says.
        """
        ...


class Picture(NamedTuple):
    """A picture of any size, and the class of each of its pixels."""

    image: "NDArray[np.uint8]"
    """(H, W, 3), RGB."""
    mask: "NDArray[np.uint8]"
    """(H, W); `IGNORED` where no class is known."""


class Pictures(Protocol):
    """Pictures by position, the same at each call, from any thread."""

    def __len__(self) -> int:
        """How many there are, broken ones included."""
        ...

    def __getitem__(self, position: int, /) -> Picture | None:
        """One of them; None if it is broken and may be left out; raises `DataError`."""
        ...


class MaskedExamples(Examples, Protocol):
    """What a set opens as that knows masks. Its `batches` are of the scored half."""

    def pictures(self, half: Half, image_size: int) -> Pictures:
        """Pictures as they are; those that a set draws itself are `image_size` pixels square."""
        ...


class Association(NamedTuple):
    """A word, and which of some pictures it brings to mind."""

    cue: str
    candidates: tuple[int, ...]
    """Numbers of pictures."""
    is_chosen: tuple[bool, ...]
    """Of each candidate; of at least one it is true."""


class AssociatedExamples(Examples, Protocol):
    """What a set opens as that knows associations.

    Its batches have the number of each picture as `metadata["picture"]`.
    """

    associations: Sequence[Association]


class EvaluationSet(Protocol):
    """A kind of evaluation set."""

    options: type[Options]

    def truths(self, options: Options) -> frozenset[Truth]:
        """What such a set knows of its pictures."""
        ...

    def check(self, options: Options, folder: Path | None) -> None:
        """Raise `DataError` if what `options` name is not on this machine.

        `folder` is where this machine keeps evaluation sets; None if nobody said.
        """
        ...

    def open(self, options: Options, folder: Path | None, broken: Broken = "error") -> Examples:
        """The set, without having read its pictures; raises `DataError` if it is not there."""
        ...


EVALUATION_SETS: Registry[EvaluationSet] = Registry(
    "evaluation set kind", "scaling.evaluation_sets", "SET"
)
