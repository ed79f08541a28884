"""`scaling run` chooses captions on the files of Winoground and SugarCrepe."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from caption_group_files import (
    SUGAR_CREPE,
    WINOGROUND,
    groups_in,
    write_sugar_crepe,
    write_winoground,
)

from scaling.cli.app import main
from scaling.store import Store

SETS = {"winoground": WINOGROUND, "sugar": SUGAR_CREPE}


@pytest.mark.parametrize("where", ["worker", "separate"])
def test_captions_are_chosen_by_features_and_by_likelihood(tmp_path: Path, where: str) -> None:
    write_winoground(tmp_path)
    write_sugar_crepe(tmp_path)
    tasks: dict[str, Any] = {}
    for name, files in SETS.items():
        tasks[name] = {"kind": "image_caption_selection", "set": groups_in(files)}
        tasks[f"{name}_generative"] = {
            "kind": "generative_image_caption_selection",
            "set": groups_in(files),
            "length": "mean",
            "prior_weight": 0.5,
        }
    grid = {
        "study": "selection",
        "families": ["mammut"],
        "models": ["tiny-a"],
        "samples_seen": [256],
        "datasets": {"shapes": {"kind": "shapes"}},
        "recipes": [{"batch_size": 64, "learning_rate": 1e-3, "warmup": "64 samples"}],
        "tasks": tasks,
        "evaluate": list(tasks),
        "evaluation_sets": str(tmp_path),
        "evaluate_on": where,
    }
    (tmp_path / "grid.yaml").write_text(yaml.safe_dump(grid))
    words = ["run", str(tmp_path / "grid.yaml"), "--executor", "local"]

    with pytest.raises(SystemExit) as left:
        main([*words, "--db", str(tmp_path / "results.db")])

    assert left.value.code == 0
    with Store.read(tmp_path / "results.db") as store:
        found = {(row["task"], row["metric"]): row["value"] for row in store.points()}
    assert len(found) == len(tasks) * 3
    for task in tasks:
        assert found[task, "acc"] <= found[task, "text_acc"] <= 1
    assert found["sugar", "image_acc"] == found["sugar_generative", "image_acc"] == 1
