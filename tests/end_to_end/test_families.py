"""Every family trains from the command line, on the embedded stream and on shards, and is told."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from scaling.families import FAMILIES

SAMPLES = 256
GRID = """
study: {study}
families: [{families}]
models: [tiny-a]
samples_seen: [{samples}]
datasets:
  stream: {{kind: shapes}}
  shards: {{kind: webdataset, shards: "{shards}", crop: center}}
recipes:
  - {{batch_size: 32, learning_rate: 4e-3, warmup: 64 samples, precision: fp32}}
evaluate: [{tasks}]
"""
COMPARED = ("clip", "siglip", "coca", "mammut")
"""Those with features; cap has captions alone, and a task of its own."""


def scaling(folder: Path, *words: str) -> str:
    command = [sys.executable, "-m", "scaling", *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_families_are_these_five() -> None:
    assert {*COMPARED, "cap"} == set(FAMILIES.names())


@pytest.mark.slow
@pytest.mark.ray
def test_every_family_trains_on_the_stream_and_on_shards(tmp_path: Path) -> None:
    made = json.loads(
        scaling(
            tmp_path, "data", "make", "set", "--samples", "200", "--shard-size", "100", "--json"
        )
    )
    for study, families, tasks in (
        ("compared", COMPARED, "shapes_retrieval"),
        ("captioners", ("cap", "coca", "mammut"), "shapes_generative_classification"),
    ):
        grid = GRID.format(
            study=study,
            families=", ".join(families),
            tasks=tasks,
            samples=SAMPLES,
            shards=tmp_path / made["shards"],
        )
        (tmp_path / f"{study}.yaml").write_text(grid)

    outcomes = [
        json.loads(scaling(tmp_path, "run", f"{study}.yaml", "--json"))
        for study in ("compared", "captioners")
    ]

    assert [outcome["failed"] for outcome in outcomes] == [0, 0]
    report = json.loads(scaling(tmp_path, "checkpoints", "ls", "--json"))
    trained = {
        entry["trial"].split("-")[0] for entry in report if entry["samples_seen"] == SAMPLES
    }
    assert trained == set(FAMILIES.names())
    assert "nothing to do" in scaling(tmp_path, "run", "compared.yaml")
