"""How long a plan takes on a machine: the run, simulated, in the order that it would have."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from operator import mul

from scaling.orchestrator.backfill import moment_of, spare_seconds
from scaling.orchestrator.order import Costs, Order, longest_paths, ranks
from scaling.orchestrator.survey import Survey
from scaling.plan import Plan
from scaling.planning.bound import Job, gang_bound
from scaling.planning.machine import Machine
from scaling.planning.urgency import Ready

_EPSILON = 1e-6
"""Three thirds of a GPU are one GPU."""


@dataclass(frozen=True, kw_only=True)
class Makespan:
    """Seconds of a whole run; training alone."""

    seconds: float
    bound: float
    """What no order goes below: all the work shared evenly, or the longest trunk and cooldown."""
    gang_bound: float
    """The same and more: see `scaling.planning.bound`."""


def makespan(
    plan: Plan,
    found: Survey,
    seconds_per_sample: Mapping[str, float],
    machine: Machine,
    order: Order = "critical-path",
) -> Makespan:
    """How long what is left of `plan` takes; all of it must fit onto `machine`.

    A trial starts as the run loop would start it: the first by `ranks` of those that are ready,
    and beside one that waits for room only what does not delay it. A cooldown is ready once its
    trunk has come to the branch point. Devices are one pool here, whatever the nodes.
    """
    trials = {planned.trial.id: planned for planned in plan.trials}
    occupied = {its: machine.devices_of(trials[its]) for its in found.left}
    shares = {its: number / machine.devices for its, number in occupied.items()}
    costs = Costs(seconds_per_sample, shares)
    rank = ranks(plan, found, order, costs)
    # Numbers in the order of ranks stand for trials.
    trial_ids = sorted(found.left, key=rank.__getitem__)
    number = {trial_id: n for n, trial_id in enumerate(trial_ids)}
    seconds = [found.left[its].samples * seconds_per_sample[its] for its in trial_ids]
    devices = [occupied[its] for its in trial_ids]
    branches: defaultdict[int, list[tuple[float, int]]] = defaultdict(list)
    for cooldown, (trunk_id, branch_point) in found.waiting.items():
        samples = max(0, branch_point - found.left[trunk_id].start)
        delay = samples * seconds_per_sample[trunk_id]
        branches[number[trunk_id]].append((delay, number[cooldown]))
    slots = machine.slots or len(trial_ids)
    work = sum(map(mul, seconds, devices)) / machine.devices
    paths = longest_paths(found, costs)
    bound = max([work, sum(seconds) / slots if slots else 0.0, *paths.values()])
    jobs = [
        Job(spent, width, paths[its])
        for spent, width, its in zip(seconds, devices, trial_ids, strict=True)
    ]
    return Makespan(
        seconds=_Run(seconds, devices, branches, (machine.devices, slots)).seconds(),
        bound=bound,
        gang_bound=max(bound, gang_bound(jobs, machine.devices)),
    )


class _Run:
    """A run in which everything takes as long as expected."""

    def __init__(
        self,
        seconds: Sequence[float],
        devices: Sequence[float],
        branches: Mapping[int, Sequence[tuple[float, int]]],
        room: tuple[float, int],
    ) -> None:
        """`room` is the devices and slots that are free at first."""
        self._seconds = seconds
        self._devices = devices
        self._branches = branches
        self._free, self._slots = room
        self._now = 0.0
        self._events: list[tuple[float, bool, int]] = []
        """Moments at which a trial ends (True), or a cooldown becomes ready (False)."""
        self._running: dict[int, float] = {}
        """When each ends."""
        waiting = {cooldown for its in branches.values() for _, cooldown in its}
        sizes: defaultdict[float, list[int]] = defaultdict(list)
        for n, size in enumerate(devices):
            sizes[size].append(n)
        self._ready = {size: Ready(its, seconds, waiting) for size, its in sizes.items()}

    def seconds(self) -> float:
        """When the last trial ends."""
        while True:
            self._start_what_fits()
            if not self._events:
                return self._now
            self._now = self._events[0][0]
            while self._events and self._events[0][0] == self._now:
                _, has_ended, n = heappop(self._events)
                if has_ended:
                    del self._running[n]
                    self._free, self._slots = self._free + self._devices[n], self._slots + 1
                else:
                    self._ready[self._devices[n]].add(n)

    def _start_what_fits(self) -> None:
        while self._slots > 0 and self._free > _EPSILON:
            first = min((its.first() for its in self._ready.values()), default=None)
            if first is None or first == Ready.NONE:
                return
            if self._devices[first] > self._free + _EPSILON:
                self._backfill(self._devices[first])
                return
            self._start(first)

    def _backfill(self, wanted: float) -> None:
        """Start what does not delay a trial that waits for `wanted` devices."""
        coming = [(end, self._devices[n]) for n, end in self._running.items()]
        start = moment_of(wanted - self._free, coming)
        spare = spare_seconds(start, self._now)
        # At that moment more may be free than it needs, which others may have for longer.
        beside = self._free - wanted
        beside += sum(self._devices[n] for n, end in self._running.items() if end <= start)
        while self._slots > 0:
            fit = [
                its.first() if size <= beside + _EPSILON else its.first_within(spare)
                for size, its in self._ready.items()
                if size <= self._free + _EPSILON
            ]
            n = min(fit, default=Ready.NONE)
            if n == Ready.NONE:
                return
            if self._seconds[n] > spare:
                beside -= self._devices[n]
            self._start(n)

    def _start(self, n: int) -> None:
        size, end = self._devices[n], self._now + self._seconds[n]
        self._ready[size].remove(n)
        self._free, self._slots = self._free - size, self._slots - 1
        self._running[n] = end
        heappush(self._events, (end, True, n))
        for delay, cooldown in self._branches.get(n, ()):
            heappush(self._events, (self._now + delay, False, cooldown))
