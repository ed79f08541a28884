"""How long training takes on this machine, by what was measured on it."""

from collections.abc import Iterable

from scaling.plan import PlannedTrial
from scaling.store import Measured
from scaling.trial import Event, Progress

Model = tuple[str, str]
"""Family and model."""


class Pace:
    """Seconds of training by model: its own rate, else that of the others by GFLOPs."""

    def __init__(
        self, trials: Iterable[PlannedTrial] = (), measured: Iterable[Measured] = ()
    ) -> None:
        """Begin with what earlier attempts `measured` of the models of `trials`, the latest."""
        self._rates: dict[Model, float] = {}
        """Samples per second of a whole trial in training, as last seen."""
        self._gflops: dict[Model, float] = {}
        """The same times the model's GFLOPs per sample, of one of its devices."""
        self._trained = self._elapsed = 0.0
        """Seconds that attempts which ended trained by those rates, and that they took."""
        before = {(m.family, m.model): m for m in sorted(measured, key=lambda m: m.latest)}
        for planned in {_model(planned): planned for planned in trials}.values():
            if found := before.get(_model(planned)):
                self._note(planned, devices(planned) * found.samples / found.seconds)

    def saw(self, planned: PlannedTrial, event: Event) -> None:
        """Learn from the progress of an attempt."""
        if isinstance(event, Progress) and event.samples_per_second > 0:
            self._note(planned, event.samples_per_second)

    def ended(self, planned: PlannedTrial, samples: int, seconds: float) -> None:
        """Learn from a whole attempt what evaluating, saving and starting add to training."""
        training = self._training_seconds(planned, samples)
        if training:
            self._trained += training
            self._elapsed += seconds

    def seconds(self, planned: PlannedTrial, samples: int) -> float | None:
        """How long a trial takes to train on `samples`; None before anything was measured."""
        training = self._training_seconds(planned, samples)
        if training is None or not self._trained:
            return training
        return training * max(1.0, self._elapsed / self._trained)

    def _note(self, planned: PlannedTrial, samples_per_second: float) -> None:
        self._rates[_model(planned)] = samples_per_second
        gflops = samples_per_second * planned.profile.lean_gflops
        self._gflops[_model(planned)] = gflops / devices(planned)

    def _training_seconds(self, planned: PlannedTrial, samples: int) -> float | None:
        rate = self._rates.get(_model(planned))
        if rate is None:
            if not self._gflops:
                return None
            gflops = sum(self._gflops.values()) / len(self._gflops)
            rate = devices(planned) * gflops / planned.profile.lean_gflops
        return samples / rate


def devices(planned: PlannedTrial) -> float:
    """How many GPUs or processes train a trial; part of a GPU counts as one."""
    return max(1.0, planned.resources.gpus, planned.resources.processes)


def _model(planned: PlannedTrial) -> Model:
    return planned.trial.family, planned.trial.model
