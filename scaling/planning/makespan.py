"""How long a plan takes on a machine: the run, simulated, in the order that it would have."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from operator import mul

from scaling.orchestrator.order import Order, ranks
from scaling.orchestrator.survey import Survey
from scaling.plan import Plan
from scaling.planning.machine import Machine

_EPSILON = 1e-6
"""Three thirds of a GPU are one GPU."""


@dataclass(frozen=True, kw_only=True)
class Makespan:
    """Seconds of a whole run; training alone."""

    seconds: float
    bound: float
    """What no order goes below: all the work shared evenly, or the longest trunk and cooldown."""


def makespan(
    plan: Plan,
    found: Survey,
    seconds_per_sample: Mapping[str, float],
    machine: Machine,
    order: Order = "critical-path",
) -> Makespan:
    """How long what is left of `plan` takes; all of it must fit onto `machine`.

    A trial starts as the run loop would start it: the first by `ranks` of those that are ready
    and for which there is room. A cooldown is ready once its trunk has come to the branch point.
    """
    rank = ranks(plan, found, order)
    trials = {planned.trial.id: planned for planned in plan.trials}
    # Numbers in the order of ranks stand for trials: heaps of numbers are quick.
    trial_ids = sorted(found.left, key=rank.__getitem__)
    number = {trial_id: n for n, trial_id in enumerate(trial_ids)}
    seconds = [found.left[its].samples * seconds_per_sample[its] for its in trial_ids]
    devices = [machine.devices_of(trials[its]) for its in trial_ids]
    branches: defaultdict[int, list[tuple[float, int]]] = defaultdict(list)
    for cooldown, (trunk_id, branch_point) in found.waiting.items():
        samples = max(0, branch_point - found.left[trunk_id].start)
        delay = samples * seconds_per_sample[trunk_id]
        branches[number[trunk_id]].append((delay, number[cooldown]))
    waiting = {cooldown for its in branches.values() for _, cooldown in its}
    ready = [n for n in range(len(trial_ids)) if n not in waiting]
    slots = machine.slots or len(trial_ids)
    work = sum(map(mul, seconds, devices)) / machine.devices
    paths = [delay + seconds[n] for its in branches.values() for delay, n in its]
    return Makespan(
        seconds=_simulated(seconds, devices, branches, ready, (machine.devices, slots)),
        bound=max([work, sum(seconds) / slots if slots else 0.0, *seconds, *paths]),
    )


def _simulated(
    seconds: Sequence[float],
    devices: Sequence[float],
    branches: Mapping[int, list[tuple[float, int]]],
    ready: Iterable[int],
    room: tuple[float, int],
) -> float:
    """When the last trial ends: `room` is the devices and slots that are free at first."""
    heaps: defaultdict[float, list[int]] = defaultdict(list)
    """Trials that could start, the most urgent first, by how much room they need."""
    for n in ready:  # ascending, so that each is a heap
        heaps[devices[n]].append(n)
    free, slots = room
    events: list[tuple[float, bool, int]] = []
    """Moments at which a trial ends (True), or a cooldown becomes ready (False)."""
    now = 0.0
    while True:
        while slots > 0:
            fit = [heap for size, heap in heaps.items() if heap and size <= free + _EPSILON]
            if not fit:
                break
            n = heappop(min(fit))
            free, slots = free - devices[n], slots - 1
            heappush(events, (now + seconds[n], True, n))
            for delay, cooldown in branches.get(n, ()):
                heappush(events, (now + delay, False, cooldown))
        if not events:
            return now
        now = events[0][0]
        while events and events[0][0] == now:
            _, has_ended, n = heappop(events)
            if has_ended:
                free, slots = free + devices[n], slots + 1
            else:
                heappush(heaps[devices[n]], n)
