import dataclasses
import json

import pytest

from scaling.trial import (
    Cooldown,
    Cosine,
    Data,
    Recipe,
    Trial,
    Trunk,
    digest,
    trial_from_identity,
)

RECIPE = Recipe(batch_size=64, learning_rate=1e-3, warmup_samples=640)
DATA = Data(kind="shapes", options={"caption_noise": 0.1})
COOLDOWN = Cooldown(
    family="clip",
    model="tiny-b",
    data=DATA,
    recipe=RECIPE,
    branch_point=6400,
    samples_seen=8192,
)
TRIALS: list[Trial] = [
    COOLDOWN,
    COOLDOWN.trunk,
    Cosine(family="clip", model="tiny-b", data=DATA, recipe=RECIPE, samples_seen=8192),
]


@pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: trial.kind)
def test_a_trial_comes_back_from_its_identity_through_json(trial: Trial) -> None:
    again = trial_from_identity(json.loads(json.dumps(trial.identity())))

    assert again == trial
    assert again.id == trial.id


@pytest.mark.parametrize(
    "change",
    [
        {"family": "mammut"},
        {"model": "tiny-c"},
        {"seed": 1},
        {"data": Data(kind="shapes", options={"caption_noise": 0.2})},
        {"recipe": dataclasses.replace(RECIPE, weight_decay=0.1)},
        {"recipe": dataclasses.replace(RECIPE, optimizer="lion")},
        {"recipe": dataclasses.replace(RECIPE, optimizer_options={"betas": [0.9, 0.99]})},
        {"recipe": dataclasses.replace(RECIPE, patch_dropout=0.5)},
        {"recipe": dataclasses.replace(RECIPE, pad="mask")},
        {"branch_point": 6464},
        {"samples_seen": 8256},
        {"shape": "1-sqrt"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_field_that_changes_the_result_changes_the_identity(
    change: dict[str, object],
) -> None:
    assert dataclasses.replace(COOLDOWN, **change).id != COOLDOWN.id


def test_a_field_at_its_default_does_not_enter_the_identity() -> None:
    """Otherwise adding a field to `Recipe` would orphan every trial that was ever trained."""
    assert set(COOLDOWN.identity()["recipe"]) == {"batch_size", "learning_rate", "warmup_samples"}


def test_identities_stay_what_they_were() -> None:
    """Stores hold these; a field that is added must not change them."""
    assert [trial.id for trial in TRIALS] == [
        "clip-tiny-b-cooldown-8.192K-6cb51d11d967",
        "clip-tiny-b-trunk-d0b484ec6816",
        "clip-tiny-b-cosine-8.192K-68c59a954015",
    ]


def test_cooldowns_of_one_row_share_their_trunk() -> None:
    longer = dataclasses.replace(COOLDOWN, branch_point=12_800, samples_seen=16_384)

    assert longer.trunk.id == COOLDOWN.trunk.id
    assert isinstance(longer.trunk, Trunk)


@pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: trial.kind)
@pytest.mark.parametrize(
    "change",
    [
        {},
        {"model": 'nets/a "b" \u00e9.json#12'},
        {"data": Data(kind="webdataset", options={"b": [1.5, None, {"z": 1, "a": "\u00fc"}]})},
        {"recipe": dataclasses.replace(RECIPE, eps=1e-8, optimizer_options={"betas": [0.9, 1]})},
    ],
)
def test_an_id_is_the_digest_of_the_identity(trial: Trial, change: dict[str, object]) -> None:
    """It is made from parts that trials share, which must not change it."""
    changed = dataclasses.replace(trial, **change)

    assert changed.id.endswith(digest(changed.identity()))


def test_a_cooldown_that_is_given_its_trunk_is_the_same() -> None:
    off = Cooldown.off(COOLDOWN.trunk, branch_point=6400, samples_seen=8192)

    assert off == COOLDOWN
    assert off.id == COOLDOWN.id
    assert off.trunk is COOLDOWN.trunk
