"""What can be wrong with a file of weights."""

from scaling.errors import ScalingError


class WeightsError(ScalingError):
    """A file that holds no weights, weights of another network, or code."""
