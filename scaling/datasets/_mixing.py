"""Several sequences become one, each with its share, evenly and at any position."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np


class Mixture:
    r"""Which of several sources is seen at a position, and how far into that source it lies.

    Of the first :math:`n` positions, the first of two sources with share :math:`p` gets
    :math:`\lfloor n p + \varphi \rfloor`, where the seed draws :math:`0 \le \varphi < 1`; with
    more sources, the others share what is left in the same way. So every stretch, and every batch,
    holds each source in its proportion, to within a sample or so, in exact arithmetic.
    """

    def __init__(self, weights: Sequence[float], seed: int) -> None:
        """`weights` are positive; only their ratios count."""
        exact = [Fraction(repr(weight)) for weight in weights]
        phases = np.random.Generator(np.random.Philox(seed)).random(len(weights))
        self._levels: list[tuple[int, int, int]] = []
        """Numerator, denominator and phase of each source's share of what is left to it."""
        for number, phase in enumerate(phases[:-1]):
            share = exact[number] / sum(exact[number:])
            start = int(Fraction(float(phase)) * share.denominator)
            self._levels.append((share.numerator, share.denominator, start))

    def locate(self, position: int) -> tuple[int, int]:
        """The source seen at `position`, and the position within that source."""
        for source, (numerator, denominator, phase) in enumerate(self._levels):
            before = (position * numerator + phase) // denominator
            after = ((position + 1) * numerator + phase) // denominator
            if after > before:
                return source, before
            position -= before
        return len(self._levels), position

    def counts(self, positions: int) -> list[int]:
        """How many of the first so many positions each source gets."""
        counts = []
        for numerator, denominator, phase in self._levels:
            counts.append((positions * numerator + phase) // denominator)
            positions -= counts[-1]
        return [*counts, positions]
