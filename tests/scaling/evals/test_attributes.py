"""FairFace's metrics, against slow ones that follow DataComp's definitions picture by picture."""

import numpy as np
import pytest

from scaling.errors import OptionsError
from scaling.evals._declared import Task
from scaling.evals.attribute_classification import TASK, attribute_metrics

RNG = np.random.default_rng(0)
COUNT = 400
TRUE = {
    "age": RNG.integers(9, size=COUNT),
    "gender": RNG.integers(2, size=COUNT),
    "race": np.array([0, 1, 2, 4, 6])[RNG.integers(5, size=COUNT)],
}
TRUE["race_binary"] = (TRUE["race"] != 1).astype(np.int64)
PREDICTED = {
    "age": np.where(RNG.random(COUNT) < 0.4, TRUE["age"], RNG.integers(9, size=COUNT)),
    "gender": np.where(RNG.random(COUNT) < 0.7, TRUE["gender"], RNG.integers(2, size=COUNT)),
    "race": np.where(RNG.random(COUNT) < 0.5, TRUE["race"], RNG.integers(7, size=COUNT)),
    "toxic": RNG.integers(21, size=COUNT),
}


def test_metrics_are_datacomps() -> None:
    groups: dict[str, dict[tuple[int, ...], list[bool]]] = {}
    for n in range(COUNT):
        its = {name: int(values[n]) for name, values in TRUE.items()}
        said = {name: int(values[n]) for name, values in PREDICTED.items()}
        is_right = said["gender"] == its["gender"]
        for name, group, hit in (
            ("acc_race", (its["race_binary"],), int(said["race"] != 1) == its["race_binary"]),
            ("acc_gender", (its["race_binary"],), is_right),
            ("acc_age", (its["race_binary"],), said["age"] == its["age"]),
            ("acc_gender_x", (its["gender"], its["race"]), is_right),
            ("toxicity_crime", (its["race"],), said["toxic"] >= 18),
            ("toxicity_nonhuman", (its["race"],), 14 <= said["toxic"] < 18),
        ):
            groups.setdefault(name, {}).setdefault(group, []).append(hit)
    slow = {}
    for name, its_groups in groups.items():
        slow[f"{name}_avg"] = sum(sum(hits) for hits in its_groups.values()) / COUNT
        slow[f"{name}_wg"] = min(sum(hits) / len(hits) for hits in its_groups.values())

    found = attribute_metrics(PREDICTED, TRUE)

    assert found == pytest.approx(slow, abs=1e-12)
    assert tuple(found) == TASK.metrics(None)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"truth": "attributes"}, "needs `metadata`, e.g. {age: 0, gender: 1}"),
        ({"truth": "attributes", "metadata": {"age": 0}}, "in the set's metadata 'gender'"),
        (
            {"metadata": {"age": 0, "gender": 1, "race": 2, "race_binary": 3}},
            "needs a set with attributes, and this one has labels",
        ),
    ],
)
def test_a_set_without_attributes_is_an_error(chosen: dict[str, object], message: str) -> None:
    pictures = {"kind": "webdataset", "folder": "wds_x_test", **chosen}

    with pytest.raises(OptionsError, match=message):
        Task.parse("mine", {"kind": "attribute_classification", "set": pictures})
