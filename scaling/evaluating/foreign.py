"""Files of weights that anybody trained."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from scaling.errors import ScalingError
from scaling.evals._evaluation import Evaluation
from scaling.families import FAMILIES
from scaling.foreign import Described, Foreign
from scaling.plan import Plan, PlannedTrial
from scaling.trial import Execution, Stop
from scaling.weights.failures import WeightsError
from scaling.weights.loading import check_weights
from scaling.weights.preprocessing import Chosen, preprocessing_of

_EPOCH = re.compile(r"epoch_(\d+)\b")
"""In the name of a file that open_clip's trainer wrote."""


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """How it is known at how many samples seen a checkpoint was saved."""

    samples_seen: int | None = None
    """Of the only file."""
    samples_per_epoch: int | None = None
    """Of files whose names say the epoch: `epoch_N.pt` after N of them."""

    def of(self, file: Path) -> int:
        """Samples seen of the network in `file`; raises `ScalingError` if its name is silent."""
        if self.samples_seen is not None:
            return self.samples_seen
        assert self.samples_per_epoch is not None
        found = _EPOCH.search(file.name)
        if not found or not int(found[1]):
            raise ScalingError(
                f"{file}: --samples-per-epoch is for files called epoch_N.pt; say --samples-seen"
            )
        return int(found[1]) * self.samples_per_epoch


def files_of(patterns: Sequence[str]) -> list[Path]:
    """The files that are named, `*` and `?` standing for more, each once and epochs in order.

    Raises `WeightsError` for a name that there is nothing of.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        path = Path(pattern).expanduser()
        if path.exists():
            found[path] = None
            continue
        anchor = Path(path.anchor)
        matching = sorted(anchor.glob(str(path.relative_to(anchor))), key=_epoch_order)
        if not matching:
            raise WeightsError(f"{pattern}: there is no such file")
        found.update(dict.fromkeys(matching))
    return list(found)


def _epoch_order(path: Path) -> tuple[str, int, str]:
    epoch = _EPOCH.search(path.name)
    return str(path.parent), int(epoch[1]) if epoch else 0, path.name


def foreign_trials(
    files: Sequence[Path], described: Described, lengths: Lengths, chosen: Chosen
) -> list[tuple[Foreign, str]]:
    """The trial of each file, and why pictures are prepared for it as they are.

    `samples_seen` and `preprocessing` of `described` are replaced by each file's own. Each file is
    read: raises `WeightsError` if one does not hold weights of the model, `DataError` if it cannot
    be read, and `ScalingError` if two files are the same.
    """
    if lengths.samples_seen is not None and len(files) > 1:
        raise ScalingError(
            f"--samples-seen is of one checkpoint, and these are {len(files)}; say "
            "--samples-per-epoch for files called epoch_N.pt, or measure them one by one"
        )
    trials: list[tuple[Foreign, str]] = []
    for file in files:
        samples_seen = lengths.of(file)
        check_weights(file, described.family, described.model)
        found = preprocessing_of(file, described.model, chosen)
        its = replace(described, samples_seen=samples_seen, preprocessing=found.preprocessing)
        trial = Foreign.of(file, its)
        for other, _ in trials:
            if other.sha256 == trial.sha256:
                raise ScalingError(f"{file} and {other.file} are one checkpoint, byte for byte")
        trials.append((trial, found.source))
    return trials


def foreign_plan(
    trials: Sequence[Foreign], tasks: tuple[str, ...], *, study: str, evaluation: Evaluation
) -> Plan:
    """A stop for each of `trials`, where its file is."""
    return Plan(
        study=study,
        cells=(),
        trials=tuple(
            PlannedTrial(
                trial=trial,
                stops=(Stop(samples_seen=trial.described.samples_seen, tasks=tasks),),
                profile=FAMILIES.get(trial.family).profile(trial.model),
                execution=Execution(micro_batch_size="auto"),
            )
            for trial in trials
        ),
        grid_text="",
        evaluation=replace(evaluation, tasks={name: evaluation.task(name) for name in tasks}),
    )
