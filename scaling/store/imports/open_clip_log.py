"""open_clip's out.log: the training loss, and the epochs of evaluations."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scaling.store.imports.json_files import text_of

FILE = "out.log"
_TRAIN = re.compile(
    r"Train Epoch: ([0-9]{1,9}) \[ *([0-9]{1,18})/([0-9]{1,18}) .*?"
    r"(?:[ \t]Loss: |Contrastive_loss: )([0-9.e+-]{1,30}|nan|inf) "
)
_TOTAL = re.compile(r"[ \t]Loss: ([0-9.e+-]{1,30}|nan|inf)(?: |$)")
_EVALUATED = re.compile(r"\| INFO \| Eval Epoch: ([0-9]{1,9}) (?!\[)(.*)")


@dataclass
class Log:
    """What a log says."""

    samples_per_epoch: int | None = None
    losses: dict[int, float] = field(default_factory=dict)
    """Training loss by samples seen; a restart replaces what came after its checkpoint."""
    evaluations: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    """Epoch and rounded values of each evaluation, in order."""

    def epochs_of(self, results: list[Mapping[str, Any]]) -> Iterator[int | None]:
        """The epoch of each line of results.jsonl, which does not say it without validation data.

        None from the first on that this log has no evaluation with the same values for.
        """
        waiting = iter(self.evaluations)
        for line in results:
            if isinstance(line.get("epoch"), int) and not isinstance(line["epoch"], bool):
                yield line["epoch"]
                continue
            rounded = {key: _rounded(value) for key, value in line.items()}
            yield next((epoch for epoch, values in waiting if values == rounded), None)


def epoch_length(path: Path) -> int | None:
    """The samples of an epoch by the first line of training in the log at `path`, if it is one."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            found = next((match for line in file if (match := _TRAIN.search(line))), None)
    except OSError:
        return None
    return (int(found[3]) or None) if found else None


def read_log(path: Path, samples_per_epoch: int | None) -> Log:
    """What the log at `path` says, with epochs of the given length or else of its own."""
    log = Log(samples_per_epoch)
    for line in text_of(path).splitlines():
        if match := _EVALUATED.search(line):
            pairs = (pair.rpartition(": ") for pair in match[2].split("\t"))
            log.evaluations.append((int(match[1]), {key: text for key, _, text in pairs}))
        elif match := _TRAIN.search(line):
            _add_loss(log, match, _TOTAL.search(line))
    return log


def _add_loss(log: Log, match: re.Match[str], total: re.Match[str] | None) -> None:
    epoch, trained, length = int(match[1]), int(match[2]), int(match[3])
    log.samples_per_epoch = log.samples_per_epoch or length or None
    if log.samples_per_epoch is None or trained <= 0:
        return
    # The last batch of an epoch is rounded up; the next epoch begins where this one should end.
    samples = epoch * log.samples_per_epoch + min(trained, log.samples_per_epoch)
    try:
        loss = float(total[1] if total else match[4])
    except ValueError:
        return
    while log.losses and (latest := next(reversed(log.losses))) >= samples:
        del log.losses[latest]
    if 0 <= loss < float("inf") and samples < 2**63:
        log.losses[samples] = loss


def _rounded(value: object) -> str:
    """As open_clip logs a value."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    try:
        return f"{round(value, 4):.4f}"
    except OverflowError:
        return "inf"
