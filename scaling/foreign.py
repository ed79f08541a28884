"""Checkpoints that this project did not train: a file of weights, and what is said of it."""

import dataclasses
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

from scaling.errors import DataError
from scaling.families._images import CLIP_PREPROCESSING, Preprocessing
from scaling.trial import Data, Recipe, Trial
from scaling.units import format_count

_UNKNOWN = Recipe(batch_size=1, learning_rate=0.0, warmup_samples=0)
"""A file of weights does not say how they were trained; nothing is trained with this."""


@dataclass(frozen=True, kw_only=True)
class Described:
    """What a file of weights does not say of itself."""

    family: str
    model: str
    dataset: str
    """A name for the training set, as grids have one."""
    samples_seen: int
    schedule: str = "cosine"
    seed: int = 0
    preprocessing: Preprocessing = CLIP_PREPROCESSING


@dataclass(frozen=True, kw_only=True)
class Foreign(Trial):
    """A training run of somebody else's, of which there is one checkpoint; see `Described`.

    Its identity is what the file contains, not where it lies.
    """

    kind: ClassVar[str] = "imported"

    described: Described
    file: Path
    """Absolute: the same on every machine that measures it."""
    sha256: str

    @classmethod
    def of(cls, file: Path, described: Described) -> Self:
        """The trial of `file`, which is read for its digest; raises `DataError`."""
        return cls(
            family=described.family,
            model=described.model,
            data=Data(kind="foreign", options={"name": described.dataset}),
            recipe=_UNKNOWN,
            seed=described.seed,
            described=described,
            file=file.absolute(),
            sha256=_sha256(file),
        )

    @property
    def preprocessing(self) -> Preprocessing:
        """What is done to pictures before the network sees them."""
        return self.described.preprocessing

    def check_file(self) -> None:
        """Raise `DataError` if the file is missing or is not what was described any more."""
        found = _sha256(self.file)
        if found != self.sha256:
            raise DataError(
                f"{self.file}: is another file than before: SHA-256 {found[:12]}..., recorded "
                f"{self.sha256[:12]}..."
            )

    def identity(self) -> dict[str, Any]:
        """See `Trial.identity`."""
        return {"kind": self.kind, "sha256": self.sha256, **dataclasses.asdict(self.described)}

    def _label(self) -> str:
        its = self.described
        words = f"{its.dataset}-{its.schedule}-{format_count(its.samples_seen)}"
        return re.sub(r"[^A-Za-z0-9._-]+", "-", words)

    def _canonical_identity(self) -> str:
        return json.dumps(self.identity(), sort_keys=True, separators=(",", ":"))


def _sha256(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except IsADirectoryError:
        raise DataError(f"{file}: is a folder; name a file of weights in it") from None
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror}") from error
