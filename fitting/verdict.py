"""The verdict: one sentence that claims no more than the comparison shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fitting.errors import gflops_text

if TYPE_CHECKING:
    from fitting.compare import BetterAt, Crossing

DECIDED = 0.95
"""Probability from which a contestant is called better."""
NOT_DECIDED = "not decided by these data"


def winner(names: tuple[str, str], at: BetterAt) -> str | None:
    """Who is better at this compute, None if these data do not decide it.

    The refits must decide and the laws themselves must agree with them.
    """
    probability = at.probability_b_better
    if probability >= DECIDED and at.difference > 0:
        return names[1]
    return names[0] if probability <= 1 - DECIDED and at.difference < 0 else None


def verdict(
    names: tuple[str, str],
    crossing: Crossing | None,
    better_at: tuple[BetterAt, ...],
    doubts: tuple[str, ...],
    caveats: tuple[str, ...] = (),
) -> str:
    """Who is better at each target, with what probability, where the laws cross, what to doubt."""
    if doubts:
        return f"{NOT_DECIDED}: {' and '.join(doubts)}"
    clauses = [_at_target(names, at) for at in better_at]
    clauses += [_crossing(names, crossing), *caveats]
    return "; ".join(clauses)


def _at_target(names: tuple[str, str], at: BetterAt) -> str:
    where = f"at {gflops_text(at.compute_gflops)} GFLOPs{_beyond(at)}"
    best = winner(names, at)
    probability = at.probability_b_better
    chance = max(probability, 1 - probability)
    if best is None:
        ahead = names[1] if probability >= 0.5 else names[0]
        # Cut, not rounded: 0.949 must not read as the 0.95 that would have decided.
        return f"{where} {NOT_DECIDED} ({ahead} ahead with probability {int(100 * chance) / 100})"
    low, high = (at.low, at.high) if best == names[1] else (-at.high, -at.low)
    return (
        f"{where} {best} is better by {abs(at.difference):.3f} "
        f"({low:.3f} to {high:.3f}, probability {_percent(chance)})"
    )


def _percent(probability: float) -> str:
    """Two decimals, but never 1.00: so many refits cannot tell."""
    return "above 0.99" if probability > 0.99 else f"{probability:.2f}"


def _beyond(at: BetterAt) -> str:
    if at.extrapolation <= 1:
        return ""
    if at.is_measured:
        return f" ({at.extrapolation:.2g}x beyond the fitted range, within the held-out one)"
    return f" ({at.extrapolation:.2g}x beyond the measured range)"


def _crossing(names: tuple[str, str], crossing: Crossing | None) -> str:
    if crossing is None:
        return "the two laws do not cross"
    overtaken = names[0] if crossing.overtaker == names[1] else names[1]
    place = "inside" if crossing.is_measured else "outside"
    return (
        f"{crossing.overtaker} overtakes {overtaken} at {gflops_text(crossing.gflops)} GFLOPs "
        f"({crossing.interval_text}), {place} the range that both were measured in"
    )
