import pytest

from scaling.schedule import COOLDOWN_SHAPES, warmup_factor
from scaling.trial import Cooldown, Cosine, Data, Recipe, Trunk

RECIPE = Recipe(batch_size=10, learning_rate=2.0, warmup_samples=100)
TRUNK = Trunk(family="clip", model="tiny-a", data=Data(kind="shapes"), recipe=RECIPE)
COSINE = Cosine(
    family="clip", model="tiny-a", data=Data(kind="shapes"), recipe=RECIPE, samples_seen=1000
)


def test_warm_up_rises_by_equal_steps_and_then_stays() -> None:
    factors = [warmup_factor(seen, 100, 10) for seen in range(0, 130, 10)]

    assert factors == pytest.approx([0.1 * step for step in range(1, 11)] + [1.0] * 3)


def test_no_warm_up_starts_at_the_full_rate() -> None:
    assert warmup_factor(0, 0, 10) == 1.0


def test_a_trunk_is_constant_after_its_warm_up() -> None:
    assert {TRUNK.learning_rate(seen) for seen in (100, 500, 10**9)} == {2.0}


def test_a_cosine_is_halved_half_way_and_zero_at_the_end() -> None:
    assert COSINE.learning_rate(100) == 2.0
    assert COSINE.learning_rate(550) == pytest.approx(1.0)
    assert COSINE.learning_rate(1000) == 0.0


@pytest.mark.parametrize("shape", COOLDOWN_SHAPES)
def test_a_cooldown_falls_from_the_trunk_s_rate_to_zero(shape: str) -> None:
    cooldown = Cooldown(
        family="clip",
        model="tiny-a",
        data=Data(kind="shapes"),
        recipe=RECIPE,
        branch_point=800,
        samples_seen=1000,
        shape=shape,
    )

    rates = [cooldown.learning_rate(seen) for seen in range(800, 1001, 10)]

    assert rates[0] == TRUNK.learning_rate(800)
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == pytest.approx(0.0, abs=1e-12)
