"""How a trial can fail, besides bugs."""

from scaling.errors import ScalingError


class CheckpointError(ScalingError):
    """A checkpoint file that is missing, torn, or not the one that was recorded."""


class Preempted(Exception):
    """Not a failure: the attempt was asked to stop, and everything so far is in a checkpoint."""


class Diverged(Exception):
    """The loss or its gradient was not finite for several steps in a row: no number follows."""

    def __init__(self, samples_seen: int, loss: float) -> None:
        """Where it happened, and the last `loss`."""
        self.samples_seen = samples_seen
        self.loss = loss
        super().__init__(
            f"diverged: loss {loss} at {samples_seen:,} samples seen; a lower learning rate, a "
            "longer warm-up or a tighter gradient clip may help"
        )

    def __reduce__(self) -> "tuple[type[Diverged], tuple[int, float]]":
        """Survive pickling, which Ray does to exceptions."""
        return (Diverged, (self.samples_seen, self.loss))
