"""What the end of an attempt means for its trial: a failure, or another try, and when."""

from collections import defaultdict
from dataclasses import dataclass

from scaling.orchestrator.worker import Crash
from scaling.store import Ending, Failure, FailureKind, TrialState

DEATHS_IN_A_ROW = 3
"""How often a trial is tried again after its worker died without any progress."""

HANGS = 2
"""How often a trial is tried again after it hung, in one run."""

LACKS_OF_ROOM = 4
"""How often a trial is tried again after it found no room on a disk and had saved nothing."""

SLICES_WITHOUT_PROGRESS = 3
"""How often a trial may be preempted without any progress, in all runs, before it is left out."""

_BACKOFF_SECONDS = 1.0
"""Before the first try after a death; doubled with each."""

_MOST_BACKOFF_SECONDS = 60.0

_SECONDS_FOR_ROOM = 10.0
"""Before the first try after a lack of room; doubled with each."""


@dataclass(frozen=True)
class Verdict:
    """How an attempt ended, and whether its trial goes on in this run."""

    ending: Ending
    delay: float | None = None
    """Seconds until the trial may be tried again; None if it is not."""
    note: str = ""


class Judge:
    """Knows what is final, and counts what is not."""

    def __init__(self) -> None:
        """No attempt has failed yet."""
        self._deaths: defaultdict[str, int] = defaultdict(int)
        self._hangs: defaultdict[str, int] = defaultdict(int)
        self._lacks: defaultdict[str, int] = defaultdict(int)

    def crash(self, trial_id: str, crash: Crash, slices: int) -> Verdict:
        """Of an exception; `slices` is how often the trial was preempted in a row, this included.

        Only those without progress count.
        """
        match crash.kind:
            case "diverged":
                failure = Failure(FailureKind.DIVERGED, crash.text)
                return Verdict(Ending("diverged", TrialState.DIVERGED, failure))
            case "oom" if crash.rows is not None and crash.rows > 1:
                fewer = (crash.rows + 1) // 2
                note = f"{crash.rows} rows exceed the memory; again with micro-batches of {fewer}"
                return Verdict(Ending("oom", TrialState.PENDING), 0.0, note)
            case "oom":
                return failed(FailureKind.OOM, crash.text, "oom")
            case "no-room":
                return self._no_room(trial_id, crash.text)
            case "preempted":
                return self.preempted(crash.text, slices)
            case kind:
                return failed(FailureKind(kind), crash.text)

    def saved(self, trial_id: str) -> None:
        """Note that there was room for a checkpoint."""
        self._lacks.pop(trial_id, None)

    def _no_room(self, trial_id: str, text: str) -> Verdict:
        self._lacks[trial_id] = lacks = self._lacks[trial_id] + 1
        if lacks > LACKS_OF_ROOM:
            return failed(FailureKind.NO_ROOM, text, "no-room")
        delay = min(_SECONDS_FOR_ROOM * 2 ** (lacks - 1), _MOST_BACKOFF_SECONDS)
        return Verdict(
            Ending("no-room", TrialState.PENDING), delay, f"{text}; again in {delay:g} s"
        )

    def preempted(self, text: str, slices: int) -> Verdict:
        """Of a request to stop; see `crash`."""
        if slices and slices % SLICES_WITHOUT_PROGRESS == 0:
            text = (
                f"preempted {SLICES_WITHOUT_PROGRESS} times in a row without any progress: give "
                "it more time, then `scaling retry --class preempted`"
            )
            return failed(FailureKind.PREEMPTED, text, "preempted")
        return Verdict(Ending("preempted", TrialState.PENDING), 0.0, text)

    def death(self, trial_id: str, log: str, *, progress: bool) -> Verdict:
        """Of a worker that is gone: go on, unless worker after worker dies without progress."""
        self._deaths[trial_id] = deaths = 1 if progress else self._deaths[trial_id] + 1
        if deaths > DEATHS_IN_A_ROW:
            text = f"{deaths} workers died in a row without any progress (see {log})"
            return failed(FailureKind.INFRA, text, "died")
        delay = min(_BACKOFF_SECONDS * 2 ** (deaths - 1), _MOST_BACKOFF_SECONDS)
        note = f"its worker died; again in {delay:g} s (see {log})"
        return Verdict(Ending("died", TrialState.PENDING), delay, note)

    def hang(self, trial_id: str, log: str, what: str) -> Verdict:
        """Of an attempt that was ended because it said nothing; `what` says for how long."""
        self._hangs[trial_id] = hangs = self._hangs[trial_id] + 1
        if hangs > HANGS:
            text = f"hung {hangs} times, at last: {what} (stacks: {log})"
            return failed(FailureKind.HANG, text, "hung")
        delay = min(_BACKOFF_SECONDS * 2 ** (hangs - 1), _MOST_BACKOFF_SECONDS)
        note = f"hung: {what}; again in {delay:g} s (stacks: {log})"
        return Verdict(Ending("hung", TrialState.PENDING), delay, note)


def failed(kind: FailureKind, text: str, outcome: str = "failed") -> Verdict:
    """The verdict that fails a trial."""
    return Verdict(Ending(outcome, TrialState.FAILED, Failure(kind, text)))
