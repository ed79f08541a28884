"""How long training takes on this machine, by what was measured on it."""

from collections.abc import Iterable

from scaling.plan import PlannedTrial
from scaling.trial import Event, Progress

Model = tuple[str, str]
"""Family and model."""


class Pace:
    """Seconds of training by model: its own rate, else that of the others by GFLOPs."""

    def __init__(self) -> None:
        """Nothing was measured yet."""
        self._rates: dict[Model, float] = {}
        """Samples per second in training, as last seen."""
        self._gflops: dict[Model, float] = {}
        """The same times the model's GFLOPs per sample."""
        self._trained = self._elapsed = 0.0
        """Seconds that attempts which ended trained by those rates, and that they took."""

    def saw(self, planned: PlannedTrial, events: Iterable[Event]) -> None:
        """Learn from the progress of an attempt."""
        for event in events:
            if isinstance(event, Progress) and event.samples_per_second > 0:
                rate, model = event.samples_per_second, _model(planned)
                self._rates[model] = rate
                self._gflops[model] = rate * planned.profile.lean_gflops

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

    def _training_seconds(self, planned: PlannedTrial, samples: int) -> float | None:
        rate = self._rates.get(_model(planned))
        if rate is None:
            if not self._gflops:
                return None
            rate = sum(self._gflops.values()) / len(self._gflops) / planned.profile.lean_gflops
        return samples / rate


def _model(planned: PlannedTrial) -> Model:
    return planned.trial.family, planned.trial.model
