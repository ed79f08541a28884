"""Nodes on which trial after trial fails at once: one of them can use up a whole grid."""

from collections import defaultdict
from dataclasses import dataclass, field

FAILURES_IN_A_ROW = 3
"""With nothing that went well between them, and of at least two trials."""

FAST_SECONDS = 60.0
"""Whatever took longer is not counted: it uses up little."""

_NOT_OF_NODES = {"oom", "diverged", "preempted", "no-room"}
"""Ends that say nothing about the node: of the trial's making, or of a disk that all share."""


@dataclass
class _Record:
    trials: list[str] = field(default_factory=list)
    """That failed fast, since something went well."""
    has_worked: bool = False


class Health:
    """What became of attempts, node by node, in this run."""

    def __init__(self) -> None:
        """Every node is well."""
        self._records: defaultdict[str, _Record] = defaultdict(_Record)

    def went_well(self, node: str) -> None:
        """Note that an attempt saved something or ended as it should."""
        self._records[node] = _Record(has_worked=True)

    def failed(self, node: str, trial_id: str, kind: str, seconds: float) -> bool:
        """Note a failure of some `kind` after `seconds`; whether to use `node` no longer.

        A bug is held against a node only if another one has worked: it may be the trainer's.
        """
        if not node or kind in _NOT_OF_NODES or seconds > FAST_SECONDS:
            return False
        if kind == "bug" and not any(
            record.has_worked for name, record in self._records.items() if name != node
        ):
            return False
        trials = self._records[node].trials
        trials.append(trial_id)
        return len(trials) >= FAILURES_IN_A_ROW and len(set(trials)) > 1


def left_out(node: str) -> str:
    """The line that says so, and how to bring the node back."""
    return (
        f"node {node} is left out: {FAILURES_IN_A_ROW} attempts failed there in a row, each in "
        f"under {FAST_SECONDS:g} s; the next run uses it again, and `scaling retry` tries again "
        "what failed there"
    )
