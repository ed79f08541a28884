import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from scaling.cli.app import app
from scaling.families import FAMILIES

PROFILE_TABLE = Path(__file__).parents[3] / "experiments" / "published" / "model_profile.csv"
KEYS = [
    "family",
    "model",
    "image_size",
    "params_million",
    "image_params_million",
    "text_params_million",
    "forward_gflops_per_sample",
    "lean_gflops_per_sample",
    "full_gflops_per_sample",
]


def listed(*words: str) -> list[dict[str, Any]]:
    result = CliRunner().invoke(app, ["models", "--json", *words])
    assert result.exit_code == 0, result.output
    rows: list[dict[str, Any]] = json.loads(result.stdout)
    return rows


def test_json_has_every_published_row_of_the_families_here() -> None:
    rows = {(row["family"], row["model"]): row for row in listed()}

    assert all(list(row) == KEYS for row in rows.values())
    with PROFILE_TABLE.open() as file:
        for published in csv.DictReader(file):
            if published["family"] not in FAMILIES:
                continue
            row = rows[published["family"], published["model"]]
            assert row["image_size"] == int(published["image_size"])
            for key in KEYS[3:7]:
                assert f"{row[key]:.2f}" == f"{float(published[key]):.2f}"


def test_one_family_and_named_models() -> None:
    assert {row["family"] for row in listed("--family", "siglip")} == {"siglip"}

    rows = listed("tiny-a", "ViT-B-32", "--family", "clip")

    assert [row["model"] for row in rows] == ["tiny-a", "ViT-B-32"]


def test_a_named_model_is_listed_for_the_families_that_have_it() -> None:
    families = {row["family"] for row in listed("ViT-B-16-text-plus")}

    assert families == {"clip", "siglip"}


def test_the_table_fits_in_80_columns() -> None:
    result = CliRunner().invoke(app, ["models"], env={"COLUMNS": "80"})

    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert not any("…" in line for line in lines)
    (row,) = [line for line in lines if line.split()[:2] == ["clip", "ViT-B-32"]]
    assert row.split()[2:] == ["151.28", "87.85", "63.43", "14.54", "14.54", "14.78"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--family", "siglop"], "unknown family 'siglop'; did you mean 'siglip'?"),
        (["ViT-B-31"], "unknown model 'ViT-B-31'; did you mean 'ViT-B-32'?"),
        (["ViT-B-31", "--family", "mammut"], "unknown model of mammut 'ViT-B-31'"),
    ],
)
def test_unknown_names_are_one_message(words: list[str], message: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scaling", "models", *words], capture_output=True, text=True
    )

    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


THEIR_PACKAGE = """
from scaling.families import Profile
from scaling.families._towers import ViTConfig

SMALL = ViTConfig(
    image_size=32, patch_size=8, vision_width=64, vision_layers=2,
    text_width=64, text_heads=1, text_layers=2, embed_dim=64,
)


class Theirs:
    models = {"small": SMALL}

    def profile(self, model):
        return Profile(
            params=3_000_000, image_params=1_000_000, text_params=2_000_000,
            published_gflops=0.3, lean_gflops=0.2, full_gflops=0.25,
        )


FAMILY = Theirs()
"""


def test_a_family_of_an_installed_package_is_listed(tmp_path: Path) -> None:
    (tmp_path / "their_package.py").write_text(THEIR_PACKAGE)
    info = tmp_path / "their_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[scaling.families]\ntheirs = their_package:FAMILY\n")
    paths = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])

    done = subprocess.run(
        [sys.executable, "-m", "scaling", "models", "--family", "theirs", "clip", "--json"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": paths},
    )

    rows = json.loads(done.stdout)
    assert list(rows[0].values()) == ["theirs", "small", 32, 3.0, 1.0, 2.0, 0.3, 0.2, 0.25]
    assert {row["family"] for row in rows} == {"theirs", "clip"}
