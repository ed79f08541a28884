import csv
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from scaling.families import FAMILIES, Family

PROFILE_TABLE = Path(__file__).parents[3] / "experiments" / "published" / "model_profile.csv"


def published_rows() -> list[dict[str, str]]:
    with PROFILE_TABLE.open() as file:
        return [row for row in csv.DictReader(file) if row["family"] in FAMILIES]


@pytest.fixture(params=FAMILIES.names())
def family(request: pytest.FixtureRequest) -> Family:
    return FAMILIES.get(request.param)


@pytest.mark.parametrize(
    "row", published_rows(), ids=lambda row: f"{row['family']}-{row['model']}"
)
def test_profile_equals_the_published_table(row: dict[str, str]) -> None:
    profile = FAMILIES.get(row["family"]).profile(row["model"])

    for params, column in [
        (profile.params, "params_million"),
        (profile.image_params, "image_params_million"),
        (profile.text_params, "text_params_million"),
    ]:
        assert params / 1e6 == pytest.approx(float(row[column]), abs=0.0051)
    assert f"{profile.published_gflops:.2f}" == f"{float(row['forward_gflops_per_sample']):.2f}"


@pytest.mark.parametrize("model", ["tiny-a", "tiny-e", "ViT-S-32", "ViT-B-16", "ViT-H-14"])
def test_profile_counts_what_torch_counts_on_the_built_network(family: Family, model: str) -> None:
    config = family.models[model]
    with torch.device("meta"):
        network = family.build(model)
        images = torch.empty(1, 3, config.image_size, config.image_size)
        tokens = torch.zeros(1, config.context_length, dtype=torch.long)

    with FlopCounterMode(display=False) as counter:
        network(images, tokens)

    profile = family.profile(model)
    assert counter.get_total_flops() == pytest.approx(profile.full_gflops * 1e9, rel=1e-12)
    assert sum(p.numel() for p in network.parameters()) == profile.params
    assert sum(p.numel() for p in network.visual.parameters()) == profile.image_params


@pytest.mark.parametrize("model", ["ViT-S-16-alt", "ViT-M-16-alt", "ViT-B-16-text-plus"])
def test_variants_of_clip_have_as_many_parameters_as_their_profile_says(model: str) -> None:
    clip = FAMILIES.get("clip")
    with torch.device("meta"):
        network = clip.build(model)

    assert sum(p.numel() for p in network.parameters()) == clip.profile(model).params


def test_full_counts_at_least_what_lean_counts(family: Family) -> None:
    for model in family.models:
        profile = family.profile(model)
        assert profile.lean_gflops < profile.full_gflops
        assert profile.lean_gflops <= profile.published_gflops


def test_tiny_models_span_a_factor_of_50_in_compute(family: Family) -> None:
    gflops = [family.profile(f"tiny-{letter}").lean_gflops for letter in "abcde"]

    assert gflops == sorted(gflops)
    assert gflops[-1] > 50 * gflops[0]


def test_profiles_need_no_torch() -> None:
    program = (
        "import sys; from scaling.families import FAMILIES\n"
        "for name in FAMILIES.names():\n"
        "    family = FAMILIES.get(name)\n"
        "    for model in family.models: family.profile(model)\n"
        "assert 'torch' not in sys.modules and 'open_clip' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
