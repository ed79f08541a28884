"""Whether a column of accuracies is in percent or in fractions: one answer for all of its rows."""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from scaling.store.imports.table import value_of


@dataclass(frozen=True)
class Scales:
    """The columns that are in percent."""

    percent: frozenset[str]

    def value(self, metric: str, text: str) -> float:
        """A cell's number as a fraction, or as a loss; raises `ValueError` where it is neither."""
        if metric not in self.percent:
            return value_of(metric, text)
        value = _number(text)
        if not 0 <= value <= 100:
            raise ValueError("is not a number of percent, from 0 to 100")
        return value / 100

    @staticmethod
    def of(
        columns: Mapping[str, Iterable[str]], said: Collection[str]
    ) -> "tuple[Scales, list[str]]":
        """The scales, and the columns that may be either.

        A column with no number above 1 is in fractions; one with no number from 0 to 1 but 0 is in
        percent, as is what is `said` to be. Anything else may be percent with weak models, or a
        mixture, and a wrong guess is an error by a factor of 100 that no later check finds.
        """
        percent, problems = set(said), []
        for column, texts in columns.items():
            if column in said:
                continue
            numbers = [n for n in map(_number, texts) if n > 0]
            above = sum(n > 1 for n in numbers)
            if above and above == len(numbers):
                percent.add(column)
            elif above:
                problems.append(
                    f"the column {column!r} is ambiguous: {above:,} numbers are above 1, "
                    f"{len(numbers) - above:,} from 0 to 1; if all of it is in percent, say "
                    f"--percent {column}; if rows differ, mend the file"
                )
        return Scales(frozenset(percent)), problems


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
