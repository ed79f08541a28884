"""What several processes can train together, and which rows of a batch each of them has."""

from scaling.errors import ResourceError
from scaling.families import World
from scaling.trial import Execution, Trial

SHARDED_OPTIMIZERS = ("adamw", "adopt", "lamb", "lion", "nadamw", "radam", "sgd")
"""Those whose update is the same on parts of parameters. Others fail on parts or, as Muon, which
needs whole matrices, give another result."""


def check_together(trial: Trial, execution: Execution, world: World) -> None:
    """Raise `ResourceError` if the processes of `world` cannot train `trial` together."""
    if world.size == 1:
        return
    local_rows(trial, world)
    if execution.micro_batch_size == "auto":
        # A process that runs out of memory and tries again is out of step with the others.
        raise ResourceError(
            f"{trial.id}: {world.size} processes cannot look for a micro_batch_size while they "
            "train; write a number, such as the one that 'auto' finds on a single GPU"
        )
    optimizer = trial.recipe.optimizer
    if execution.sharding == "fsdp" and optimizer not in SHARDED_OPTIMIZERS:
        raise ResourceError(
            f"{trial.id}: optimizer {optimizer!r} does not work on shards; use 'sharding: ddp' or "
            f"one of {', '.join(SHARDED_OPTIMIZERS)}"
        )


def local_rows(trial: Trial, world: World) -> slice:
    """The rows of each global batch that this process computes.

    Process r of W has those from r B / W to (r + 1) B / W: together, the rows that one process
    would have. Raises `ResourceError` if the batch does not divide.
    """
    batch_size = trial.recipe.batch_size
    rows, left = divmod(batch_size, world.size)
    if left:
        divisors = [n for n in range(1, 2 * world.size) if batch_size % n == 0]
        nearest = min(divisors, key=lambda n: abs(n - world.size))
        raise ResourceError(
            f"{trial.id}: batch_size {batch_size} does not divide among {world.size} processes; "
            f"the nearest number that it divides among is {nearest}"
        )
    return slice(world.rank * rows, (world.rank + 1) * rows)
