"""What became of a run."""

from dataclasses import dataclass

from scaling.units import format_seconds


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Counts of trials by what became of them; it prints as a sentence."""

    done: int
    already_done: int
    failed: int
    """Diverged ones and those that failed in an earlier run included."""
    blocked: int
    interrupted: int
    """Not finished because the run was stopped."""
    beyond_budget: int = 0
    """Not finished because a budget ended."""
    without_room: int = 0
    """Not finished because for long there was no room for checkpoints."""
    stopped_early: int = 0
    """Members of sweeps that others left behind, in this run or in an earlier one."""
    budget: str = ""
    """The limits of the run and what was spent of them, for people."""
    lack_of_room: str = ""
    """What was missing where, for people, if the run ended for that."""
    measurements: int
    """Recorded by this run."""
    seconds: float

    @property
    def exit_code(self) -> int:
        """0: all is done, 1: trials failed or lacked room, 3: a budget ended, 130: Ctrl-C."""
        if self.interrupted:
            return 130
        if self.failed or self.blocked or self.without_room:
            return 1
        return 3 if self.beyond_budget else 0

    def __str__(self) -> str:
        """For people."""
        if not (
            self.done
            or self.failed
            or self.blocked
            or self.interrupted
            or self.beyond_budget
            or self.without_room
            or self.stopped_early
        ):
            return f"nothing to do: all {self.already_done} trials are complete"
        counts = {
            "done": self.done,
            "done before": self.already_done,
            "failed": self.failed,
            "blocked": self.blocked,
            "stopped early": self.stopped_early,
            "not finished": self.interrupted + self.beyond_budget + self.without_room,
        }
        trials = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
        sentence = f"trials: {trials}; {self.measurements} measurements recorded in "
        sentence += format_seconds(self.seconds)
        if self.failed:
            sentence += "; `--retry` tries failed trials again"
        if self.budget:
            sentence += f"; {self.budget}"
        if self.beyond_budget:
            sentence += "; the budget ended: run the same command again to go on"
        if self.without_room:
            sentence += f"; {self.lack_of_room}: make room, and run the same command again"
        if self.interrupted:
            sentence += "; stopped: run the same command again to go on"
        return sentence
