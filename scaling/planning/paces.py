"""How fast a model trains: as it was measured, else by its FLOPs."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from scaling.families import Profile
from scaling.planning.machine import Machine

if TYPE_CHECKING:
    from scaling.store import Measured

GPU_TFLOPS = 312.0
"""Peak of an NVIDIA A100 in bf16 without sparsity, by its data sheet."""
CPU_TFLOPS = 0.05
"""Of a core: with the utilisation below about what the quickstart reaches (`benchmarks/`)."""
UTILISATION = 0.35
"""Model FLOPs utilisation of a well-run training; PaLM: 0.46 (arXiv:2204.02311, table 3)."""
FORWARDS_PER_STEP = 3.0
"""A backward pass costs twice its forward pass: gradients of inputs and of weights."""
FORWARDS_IF_RECOMPUTED = 4.0
"""With gradient checkpointing blocks are computed forward once more."""

Source = Literal["measured", "other models", "stated"]


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How fast one device trains a model, and how that is known."""

    samples_per_second: float
    source: Source


class Paces:
    """The paces of models on one kind of device."""

    def __init__(
        self,
        machine: Machine,
        measured: Sequence["Measured"] = (),
        *,
        tflops: float | None = None,
        mfu: float | None = None,
    ) -> None:
        """`measured` counts where it is of a device such as the machine's, the latest used.

        What is stated, `tflops` of one device or its utilisation `mfu`, goes before.
        """
        self.tflops = tflops or (GPU_TFLOPS if machine.has_gpus else CPU_TFLOPS)
        self.mfu = mfu or UTILISATION
        stated = tflops is not None or mfu is not None
        usable = [its for its in measured if (its.device != "cpu") == machine.has_gpus]
        latest = max(usable, key=lambda its: its.latest, default=None)
        self.device = None if stated or latest is None else latest.device
        self._measured = {
            (its.family, its.model): its for its in usable if its.device == self.device
        }
        self._flops_per_second: float | None = None

    def learn(self, profiles: dict[tuple[str, str], Profile]) -> None:
        """Find from measured models how many FLOPs a second to expect of the others."""
        spent: defaultdict[str, float] = defaultdict(float)
        for key, its in self._measured.items():
            if key in profiles:
                spent["gflops"] += FORWARDS_PER_STEP * its.samples * profiles[key].full_gflops
                spent["seconds"] += its.seconds
        self._flops_per_second = 1e9 * spent["gflops"] / spent["seconds"] if spent else None

    def of(self, family: str, model: str, profile: Profile, *, recomputes: bool = False) -> Pace:
        """The pace of a model; `recomputes` if its blocks are computed forward twice."""
        if its := self._measured.get((family, model)):
            return Pace(samples_per_second=its.samples / its.seconds, source="measured")
        forwards = FORWARDS_IF_RECOMPUTED if recomputes else FORWARDS_PER_STEP
        flops = 1e9 * forwards * profile.full_gflops
        if self._flops_per_second:
            return Pace(samples_per_second=self._flops_per_second / flops, source="other models")
        return Pace(samples_per_second=self.tflops * 1e12 * self.mfu / flops, source="stated")
