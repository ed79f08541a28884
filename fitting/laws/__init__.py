"""Laws of compute, by name.

To add one: subclass `Law`, fill in its methods, and put it into `LAWS`. The contract tests in
`tests/fitting/test_laws.py` then check its gradient, bounds and round trip by themselves.
"""

from fitting.errors import FitError
from fitting.laws.anchored import AnchoredLaw
from fitting.laws.base import Law
from fitting.laws.power import LineLaw, NoOffsetLaw, PowerLaw
from fitting.laws.saturating import NoFloorLaw, SaturatingPowerLaw

__all__ = [
    "LAWS",
    "AnchoredLaw",
    "Law",
    "LineLaw",
    "NoFloorLaw",
    "NoOffsetLaw",
    "PowerLaw",
    "SaturatingPowerLaw",
    "law_named",
]

LAWS: dict[str, Law] = {
    law.name: law
    for law in (
        SaturatingPowerLaw(),
        AnchoredLaw(),
        NoFloorLaw(),
        NoOffsetLaw(),
        PowerLaw(),
        LineLaw(),
    )
}


def law_named(name: str) -> Law:
    """The registered law, or a `FitError` that lists those there are."""
    if name not in LAWS:
        raise FitError(f"unknown law {name!r} (known: {', '.join(sorted(LAWS))})")
    return LAWS[name]
