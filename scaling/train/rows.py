"""How the rows of a batch are shared among processes."""

from scaling.errors import ResourceError
from scaling.families import World
from scaling.trial import Trial


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
