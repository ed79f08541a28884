from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaling.datasets._mixing import Mixture
from scaling.datasets._order import Draws, Passes
from scaling.errors import DataError

WEIGHTS = st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=5)


@given(weights=WEIGHTS, seed=st.integers(0, 99), first=st.integers(0, 10**10))
def test_every_source_is_read_in_order_without_gaps(
    weights: list[float], seed: int, first: int
) -> None:
    mixture = Mixture(weights, seed)

    for source in range(len(weights)):
        inner = [
            w for p in range(first, first + 200) for s, w in [mixture.locate(p)] if s == source
        ]
        assert inner == list(range(inner[0], inner[0] + len(inner))) if inner else True


@given(weights=WEIGHTS, seed=st.integers(0, 99), count=st.integers(1, 1000))
def test_every_beginning_holds_each_source_in_its_proportion(
    weights: list[float], seed: int, count: int
) -> None:
    mixture = Mixture(weights, seed)

    seen = Counter(mixture.locate(position)[0] for position in range(count))

    assert mixture.counts(count) == [seen[source] for source in range(len(weights))]
    for source, weight in enumerate(weights):
        assert abs(seen[source] - count * weight / sum(weights)) < len(weights)


def test_weights_hold_exactly_over_a_whole_period_at_any_distance() -> None:
    mixture, far = Mixture([2, 0.5, 1], 3), 7 * 10**12

    seen = Counter(mixture.locate(position)[0] for position in range(far, far + 7000))

    assert seen == {0: 4000, 1: 1000, 2: 2000}


def test_a_seed_moves_the_pattern() -> None:
    patterns = {
        tuple(Mixture([1, 1, 1.5], seed).locate(p)[0] for p in range(50)) for seed in range(8)
    }

    assert len(patterns) > 1


def test_draws_are_uniform_and_with_replacement() -> None:
    draws, others = (Draws(4, lambda part: 1, seed=seed) for seed in (0, 1))

    parts = [draws.locate(position).part for position in range(4000)]

    shares = np.bincount(parts, minlength=4) / 4000
    np.testing.assert_allclose(shares, 0.25, atol=0.03)
    assert any(len(set(parts[i : i + 4])) < 4 for i in range(0, 4000, 4))
    assert parts != [others.locate(position).part for position in range(4000)]


def test_a_drawn_part_is_gone_through_once() -> None:
    sizes = [3, 0, 5]
    draws = Draws(3, sizes.__getitem__, seed=0)
    places = [draws.locate(position) for position in range(300)]

    for visit in {place.epoch for place in places[:-10]}:
        rows = [place.row for place in places if place.epoch == visit]
        assert sorted(rows) == list(
            range(sizes[places[[p.epoch for p in places].index(visit)].part])
        )


@pytest.mark.parametrize("order", [Passes, Draws])
def test_nothing_to_see_is_an_error(order: type[Passes]) -> None:
    places = order(3, lambda part: 0, seed=0)

    for _ in range(3):  # however often it is asked for
        with pytest.raises(DataError, match="no sample in 3 shards"):
            places.locate(0)
