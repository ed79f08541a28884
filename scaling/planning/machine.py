"""What trials run on, as far as a plan needs to know: how many at once, and on what."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from scaling.plan import PlannedTrial


@dataclass(frozen=True, kw_only=True)
class Machine:
    """GPUs, or CPU cores where there is no GPU; of a machine or of a whole cluster."""

    gpus: int
    cpus: int
    slots: int | None = None
    """Most trials at once, if that is limited."""

    @property
    def has_gpus(self) -> bool:
        """Whether trials run on GPUs."""
        return self.gpus > 0

    @property
    def devices(self) -> int:
        """GPUs, or CPU cores."""
        return self.gpus or self.cpus

    @property
    def device_word(self) -> str:
        """What hours are counted of: GPU or CPU."""
        return "GPU" if self.has_gpus else "CPU"

    def devices_of(self, planned: PlannedTrial) -> float:
        """How many devices a trial occupies: GPUs, or a part of one; CPU cores."""
        wanted = planned.resources
        return wanted.gpus if self.has_gpus else wanted.cpus * wanted.processes

    def processes_of(self, planned: PlannedTrial) -> int:
        """How many processes train a trial together."""
        wanted = planned.resources
        return max(1, int(wanted.gpus)) if self.has_gpus else wanted.processes

    def too_large(self, trials: Iterable[PlannedTrial]) -> list[str]:
        """A sentence for each model whose trials could never run here."""
        asked = {its.trial.model: self.devices_of(its) for its in trials}
        word = "GPUs" if self.has_gpus else "CPU cores"
        return [
            f"{model} asks for {devices:g} {word}, and {self.devices} are there"
            for model, devices in asked.items()
            if devices > self.devices
        ]

    def __str__(self) -> str:
        """In words: '8 GPUs', '2 CPU cores, 1 trial at once'."""
        word = "GPU" if self.has_gpus else "CPU core"
        text = f"{self.devices} {word}{'s' if self.devices > 1 else ''}"
        if self.slots is None:
            return text
        return f"{text}, {self.slots} trial{'s' if self.slots > 1 else ''} at once"


def this_machine(*, gpus: int | None = None, slots: int | None = None) -> Machine:
    """The machine at hand; with `gpus`, one that has so many; `slots` limits trials at once."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Machine(
        gpus=_visible_gpus() if gpus is None else gpus,
        cpus=max(cpus or 1, slots or 1),
        slots=slots,
    )


def _visible_gpus() -> int:
    """NVIDIA GPUs that this process may use, found without torch."""
    present = sum(path.name[6:].isdigit() for path in Path("/dev").glob("nvidia*"))
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return present
    return min(present, len([name for name in visible.split(",") if name.strip()]))
