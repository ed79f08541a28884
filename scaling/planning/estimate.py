"""Everything that a plan will take, added up by family and model."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from scaling.families import Profile, find_model
from scaling.orchestrator.order import Order
from scaling.orchestrator.survey import Survey
from scaling.plan import Plan, PlannedTrial
from scaling.planning.machine import Machine
from scaling.planning.makespan import Makespan, makespan
from scaling.planning.memory import SAVED_BYTES, Memory, memory
from scaling.planning.paces import Pace, Paces


@dataclass
class ModelEstimate:
    """What the trials of one model of a family take; times are of training alone."""

    family: str
    model: str
    profile: Profile
    pace: Pace
    memory: Memory
    """Of the trial that needs most."""
    cells: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    """Trials by kind."""
    samples: int = 0
    samples_left: int = 0
    device_seconds: float = 0.0
    device_seconds_left: float = 0.0
    device_seconds_alone: float = 0.0
    """If every cell had a trial of its own."""
    checkpoints: int = 0

    @property
    def gflops(self) -> float:
        """Forward GFLOPs, in the reference study's counting."""
        return self.samples * self.profile.published_gflops

    @property
    def gflops_left(self) -> float:
        """Of what is not done."""
        return self.samples_left * self.profile.published_gflops

    @property
    def bytes_per_checkpoint(self) -> int:
        """Weights and Adam's moments in fp32."""
        return SAVED_BYTES * self.profile.params


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a plan takes on a machine."""

    models: list[ModelEstimate]
    machine: Machine
    paces: Paces
    too_large: list[str]
    """Models whose trials could never run on the machine, a sentence each."""
    makespan: Makespan | None
    """Of what is left; None if something is too large."""

    @property
    def disk_bytes(self) -> int:
        """Of all checkpoints, one at each stop of each trial, which stay."""
        return sum(its.checkpoints * its.bytes_per_checkpoint for its in self.models)


def estimate(
    plan: Plan,
    found: Survey,
    machine: Machine,
    paces: Paces,
    order: Order = "critical-path",
) -> Estimate:
    """What the trials of `plan` take, and those that are left by `found`."""
    paces.learn({(its.trial.family, its.trial.model): its.profile for its in plan.trials})
    models: dict[tuple[str, str], ModelEstimate] = {}
    seconds: dict[str, float] = {}
    grouped = _by_model(plan)
    for (family, model), its in grouped.items():
        row = models[family, model] = _begin(its, machine, paces)
        processes = machine.processes_of(its[0])
        devices = machine.devices_of(its[0])
        # A measured pace is that of a process in its slot; a stated one, of a whole GPU.
        share = min(1.0, devices) if row.pace.source == "stated" and machine.has_gpus else 1.0
        per_sample = 1 / (row.pace.samples_per_second * processes * share)
        for planned in its:
            trial_id = planned.trial.id
            seconds[trial_id] = per_sample
            samples = planned.samples
            row.kinds[planned.trial.kind] += 1
            row.samples += samples
            row.checkpoints += len(planned.stops)
            if trial_id in found.left:
                row.samples_left += found.left[trial_id].samples
        row.device_seconds = row.samples * per_sample * devices
        row.device_seconds_left = row.samples_left * per_sample * devices
        row.device_seconds_alone = per_sample * devices
    _count_cells(plan, models)
    too_large = machine.too_large(its[0] for its in grouped.values())
    return Estimate(
        models=list(models.values()),
        machine=machine,
        paces=paces,
        too_large=too_large,
        makespan=None if too_large else makespan(plan, found, seconds, machine, order),
    )


def _by_model(plan: Plan) -> dict[tuple[str, str], list[PlannedTrial]]:
    grouped: defaultdict[tuple[str, str], list[PlannedTrial]] = defaultdict(list)
    for planned in plan.trials:
        grouped[planned.trial.family, planned.trial.model].append(planned)
    return dict(grouped)


def _begin(its: list[PlannedTrial], machine: Machine, paces: Paces) -> ModelEstimate:
    """The row of a model whose trials are `its`, with nothing added up."""
    first = its[0]
    family, model = first.trial.family, first.trial.model
    config = find_model(family, model)
    recipes = {id(planned.trial.recipe): planned.trial.recipe for planned in its}.values()
    needs = [
        memory(
            config,
            first.profile,
            recipe=recipe,
            execution=first.execution,
            processes=machine.processes_of(first),
        )
        for recipe in recipes
    ]
    pace = paces.of(
        family, model, first.profile, recomputes=first.execution.gradient_checkpointing
    )
    return ModelEstimate(
        family=family,
        model=model,
        profile=first.profile,
        pace=pace,
        memory=max(needs, key=lambda need: need.total),
    )


def _count_cells(plan: Plan, models: Mapping[tuple[str, str], ModelEstimate]) -> None:
    """Count the cells of each model, and what they would take one by one."""
    samples: Counter[tuple[str, str]] = Counter()
    for cell in plan.cells:
        samples[cell.family, cell.model] += cell.samples_seen
        models[cell.family, cell.model].cells += 1
    for key, row in models.items():
        row.device_seconds_alone *= samples[key]
