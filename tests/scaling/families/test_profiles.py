import csv
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from scaling.families import FAMILIES, Family, Profile
from scaling.families._flops import (
    cap_profile,
    clip_profile,
    coca_profile,
    mammut_profile,
    siglip_profile,
)
from scaling.families._measured import measured_profile
from scaling.families._towers import CAP, CLIP, COCA, MAMMUT, SIGLIP, ViTConfig

PROFILE_TABLE = Path(__file__).parents[3] / "experiments" / "published" / "model_profile.csv"


CLOSED_FORMS: Mapping[str, tuple[Mapping[str, ViTConfig], Callable[[ViTConfig], Profile]]] = {
    "clip": (CLIP, clip_profile),
    "siglip": (SIGLIP, siglip_profile),
    "coca": (COCA, coca_profile),
    "mammut": (MAMMUT, mammut_profile),
}


def published_rows() -> list[dict[str, str]]:
    with PROFILE_TABLE.open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(params=FAMILIES.names())
def family(request: pytest.FixtureRequest) -> Family:
    return FAMILIES.get(request.param)


@pytest.mark.parametrize(
    "row", published_rows(), ids=lambda row: f"{row['family']}-{row['model']}"
)
def test_profile_equals_the_published_table(row: dict[str, str]) -> None:
    sizes, closed_form = CLOSED_FORMS[row["family"]]
    profile = closed_form(sizes[row["model"]])

    for params, column in [
        (profile.params, "params_million"),
        (profile.image_params, "image_params_million"),
        (profile.text_params, "text_params_million"),
    ]:
        assert f"{params / 1e6:.2f}" == f"{float(row[column]):.2f}"
    assert f"{profile.published_gflops:.2f}" == f"{float(row['forward_gflops_per_sample']):.2f}"


def test_the_published_table_has_all_56_rows() -> None:
    assert len(published_rows()) == 56


@pytest.mark.parametrize(
    ("model", "gflops"), [("ViT-S-32", 8.81), ("ViT-B-32", 19.14), ("ViT-L-14", 183.63)]
)
def test_cap_costs_what_the_references_profiler_counts_without_the_contrastive_pass(
    model: str, gflops: float
) -> None:
    profile = cap_profile(CAP[model])

    assert profile.published_gflops == profile.lean_gflops == pytest.approx(gflops, abs=0.005)


@pytest.mark.parametrize("model", ["tiny-a", "tiny-e", "ViT-S-32", "ViT-B-16", "ViT-H-14"])
def test_profile_counts_what_torch_counts_on_the_built_network(family: Family, model: str) -> None:
    config = family.models[model]
    with torch.device("meta"):
        network = family.build(model)
        images = torch.empty(1, 3, config.image_size, config.image_size)
        tokens = torch.zeros(1, config.context_length, dtype=torch.long)

    network.trim_captions = False  # profiles count captions of full length
    # Without gradients, some of which captioning computes on its way forward.
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(images, tokens)

    profile = family.profile(model)
    assert counter.get_total_flops() == pytest.approx(profile.full_gflops * 1e9, rel=1e-12)
    assert sum(p.numel() for p in network.parameters()) == profile.params
    assert sum(p.numel() for p in network.visual.parameters()) == profile.image_params


@pytest.mark.parametrize("name", FAMILIES.names())
def test_lean_leaves_out_attention_scores_and_published_adds_what_is_wasted(name: str) -> None:
    family, model = FAMILIES.get(name), "ViT-S-32"
    config = family.models[model]
    assert isinstance(config, ViTConfig)

    counted = measured_profile(lambda: family.build(model), config, text_runs_twice=name == "coca")

    profile = family.profile(model)
    assert counted.lean_gflops == pytest.approx(profile.lean_gflops, rel=1e-12)
    assert counted.full_gflops == pytest.approx(profile.full_gflops, rel=1e-12)
    discarded_head = 2e-9 * 77 * config.text_width * config.vocab_size
    wasted = discarded_head if name == "mammut" else 0.0
    assert counted.published_gflops + wasted == pytest.approx(profile.published_gflops, rel=1e-12)


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


def test_tiny_models_span_a_factor_of_nearly_50_in_compute(family: Family) -> None:
    gflops = [family.profile(f"tiny-{letter}").lean_gflops for letter in "abcde"]

    assert gflops == sorted(gflops)
    assert gflops[-1] > 49 * gflops[0]


def test_profiles_need_no_torch() -> None:
    program = (
        "import sys; from scaling.families import FAMILIES\n"
        "for name in FAMILIES.names():\n"
        "    family = FAMILIES.get(name)\n"
        "    for model in family.models: family.profile(model)\n"
        "assert 'torch' not in sys.modules and 'open_clip' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
