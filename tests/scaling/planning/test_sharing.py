from typing import Any

from grids import plan_of

from scaling.planning.sharing import rows


def test_one_recipe_for_all_lengths_is_shared() -> None:
    found = rows(plan_of())

    assert (found.sharing, found.alone, found.cosine, found.apart) == (6, 0, 0, [])


def test_a_sweep_is_shared_value_by_value() -> None:
    rule: dict[str, Any] = {"batch_size": 64, "warmup": 256, "learning_rate": [1e-3, 2e-3]}
    found = rows(plan_of(recipes=[rule]))

    assert (found.sharing, found.alone, found.apart) == (12, 0, [])


def test_a_warm_up_in_percent_keeps_lengths_apart_and_is_named() -> None:
    found = rows(plan_of(recipes=[{"batch_size": 64, "warmup": "10%"}]))

    assert (found.sharing, found.alone) == (0, 6)
    (apart,) = found.apart
    assert (apart.rows, apart.cells, apart.trunks) == (2, 6, 6)
    assert apart.reason == "warm-up 102, 205, 410 (recipes.0)"


def test_rules_by_length_are_named_with_what_they_change() -> None:
    short = {"samples_seen": "<= 2048", "batch_size": 64, "warmup": 256}
    found = rows(plan_of(recipes=[short, {"batch_size": 128, "warmup": 256}]))

    assert (found.sharing, found.alone) == (4, 2)
    assert [apart.reason for apart in found.apart] == ["batch size 64, 128 (recipes.0, recipes.1)"]


def test_cosine_cells_share_nothing() -> None:
    found = rows(plan_of(schedules=["cosine", "const"]))

    assert (found.sharing, found.cosine, found.apart) == (6, 6, [])
