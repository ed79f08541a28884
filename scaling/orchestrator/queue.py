"""The trials that are left, in the order in which they start (`scaling.orchestrator.order`)."""

import time
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Callable, Iterator

from scaling.orchestrator.allowance import Allowance
from scaling.orchestrator.budget import Budget
from scaling.orchestrator.order import Order, Rank, costs_by, ranks
from scaling.orchestrator.phases import Phase
from scaling.orchestrator.survey import Survey
from scaling.plan import Plan, Resources


class Queue:
    """What is ready, what waits for a trunk's checkpoint, and what is tried again later."""

    def __init__(
        self,
        plan: Plan,
        survey: Survey,
        order: Order = "critical-path",
        allowance: Allowance | None = None,
    ) -> None:
        """Everything that `survey` found left of `plan`; unless given, there is no budget."""
        self.allowance = allowance or Allowance(Budget(), survey.left)
        self.shapes = {planned.resources for planned in plan.trials}
        """What attempts at the trials of the plan occupy."""
        self.shapes |= {its.measuring for its in plan.trials if its.measuring is not None}
        self.evaluation = plan.evaluation
        """How they are measured."""
        self._trials = {planned.trial.id: planned for planned in plan.trials}
        self._plan, self._survey, self._order = plan, survey, order
        self._rank = ranks(plan, survey, order)
        self._ready: list[tuple[Rank, str]] = []
        self._later: dict[str, float] = {}
        self._waiting: defaultdict[tuple[str, int], list[str]] = defaultdict(list)
        for trial_id in survey.left:
            if trial_id in survey.waiting:
                self._waiting[survey.waiting[trial_id]].append(trial_id)
            else:
                self.add(trial_id)

    def __iter__(self) -> Iterator[Phase]:
        """What may start now, the most urgent first; `remove` is allowed meanwhile."""
        now = time.monotonic()
        for trial_id in [trial_id for trial_id, moment in self._later.items() if moment <= now]:
            del self._later[trial_id]
            self.add(trial_id)
        position = 0
        while position < len(self._ready):
            ready = self._ready[position]
            planned = self._trials[ready[1]]
            phase = self.allowance.next(planned)
            if phase is not None:
                yield phase
            if position < len(self._ready) and self._ready[position] == ready:
                position += 1

    def __len__(self) -> int:
        """How many trials have not started, ready or not."""
        return len(self._ready) + len(self._later) + sum(map(len, self._waiting.values()))

    @property
    def may_go_on(self) -> bool:
        """Whether anything can start without something else coming first."""
        return bool(self._ready or self._later)

    @property
    def is_over_budget(self) -> bool:
        """Whether nothing that is left may start, unless something that runs gives back."""
        return not self._later and next(iter(self), None) is None

    @property
    def trial_ids(self) -> list[str]:
        """Everything that has not started, ready or not."""
        waiting = (trial_id for trial_ids in self._waiting.values() for trial_id in trial_ids)
        return [*(trial_id for _, trial_id in self._ready), *self._later, *waiting]

    def add(self, trial_id: str, *, delay: float = 0) -> None:
        """Let a trial start, at the earliest after `delay` seconds."""
        if delay:
            self._later[trial_id] = time.monotonic() + delay
        else:
            insort(self._ready, (self._rank[trial_id], trial_id))

    def order_for(self, share: Callable[[Resources], float]) -> None:
        """Put everything in the order for a cluster of which each trial occupies its `share`."""
        shares = {its.trial.id: share(its.resources) for its in self._plan.trials}
        costs = costs_by(self.allowance.pace, self._plan, shares)
        self._rank = ranks(self._plan, self._survey, self._order, costs)
        self._ready = sorted((self._rank[trial_id], trial_id) for _, trial_id in self._ready)

    def remove(self, trial_id: str) -> None:
        """Take out a trial that starts."""
        del self._ready[bisect_left(self._ready, (self._rank[trial_id], trial_id))]

    def release(self, trunk_id: str, samples_seen: int) -> None:
        """Let the cooldowns start that wait for this checkpoint, which is recorded."""
        for trial_id in self._waiting.pop((trunk_id, samples_seen), ()):
            self.add(trial_id)

    def give_up(self, trunk_id: str) -> list[str]:
        """Take out, and name, the cooldowns that still wait for a trunk that failed."""
        branches = [branch for branch in self._waiting if branch[0] == trunk_id]
        return [trial_id for branch in branches for trial_id in self._waiting.pop(branch)]
