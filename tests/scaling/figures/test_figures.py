"""`scaling figures`: the study's figures and coefficients, files, recipes that are wrong."""

import json
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

from fitting.figures import figure_of
from fitting.style import PAPER
from scaling.cli.app import main
from scaling.errors import GridError
from scaling.figures import Figure, Override, draw, recipes
from scaling.figures.published import published_points
from scaling.figures.recipe import read_recipe

BASELINES = Path(__file__).parent / "baselines"
MOST_RMS = 0.06
"""Of pictures in grey from 0 to 1 that are 8 times as coarse: fonts may differ, curves may not."""

EXPECTED = {
    ("error_vs_compute", "ImageNet-1k, DataComp-1.4B", "clip"): (18.41, 0.2273, 0.1116),
    ("error_vs_compute", "ImageNet-1k, DataComp-1.4B", "mammut"): (19.29, 0.2556, 0.1013),
    ("error_vs_compute", "COCO image retrieval, DataComp-1.4B", "clip"): (18.32, 0.2280, 0.2158),
    ("error_vs_compute", "COCO image retrieval, DataComp-1.4B", "mammut"): (
        19.08,
        0.2578,
        0.2087,
    ),
    ("suites", "COCO text retrieval", "clip"): (18.37, 0.3455, 0.127),
    ("suites", "COCO text retrieval", "mammut"): (19.10, 0.3892, 0.122),
    ("error_vs_compute_relaion", "ImageNet-1k, Re-LAION-1.4B", "mammut"): (19.18, 0.1684, 0.0),
    ("schedules", "Constant learning rate", "clip"): (17.81, 0.1368, 0.0),
    ("schedules", "CLIP by schedule", "const-cooldown"): (18.60, 0.2328, 0.1252),
    ("siglip_coca", "CLIP and SigLIP", "clip"): (19.28, 0.5510, 0.3648),
}
"""ln B, alpha and E: refits of the published table (arXiv:2506.04598, figures 1, 2, 4, 9 and its
notebooks) by another program, which takes the cheapest of equal cells; hence the tolerances."""
TOLERANCES = (0.06, 0.008, 0.007)
OPTIMAL = {
    ("ImageNet-1k", "clip"): (16.88, 0.741),
    ("ImageNet-1k", "mammut"): (8.15, 0.744),
    ("COCO image retrieval", "clip"): (22.0, 0.728),
    ("COCO image retrieval", "mammut"): (11.1, 0.726),
}
"""Factor and exponent of compute-optimal samples, figure 6, by that program."""


@pytest.fixture(scope="module")
def points() -> pd.DataFrame:
    return published_points()


@pytest.fixture(scope="module")
def drawn(points: pd.DataFrame) -> dict[str, Figure]:
    return {name: draw(name, one, points, Override()) for name, one in recipes().items()}


def test_every_recipe_is_drawn_of_the_published_measurements(drawn: dict[str, Figure]) -> None:
    assert len(drawn) >= 11
    assert {name: figure.skipped for name, figure in drawn.items() if figure.skipped} == {}
    for name, figure in drawn.items():
        assert len(figure.panels) == len(recipes([name])[name].panels)


def test_coefficients_agree_with_the_study(drawn: dict[str, Figure]) -> None:
    laws = {
        (name, law["panel"], law["family"]): law["parameters"]
        for name, figure in drawn.items()
        for panel in figure.panels
        for law in panel.coefficients()
    }
    for key, expected in EXPECTED.items():
        found = [laws[key][name] for name in ("lnB", "alpha", "E")]
        assert np.all(np.abs(np.subtract(found, expected)) <= TOLERANCES), (key, found)
    for (panel, family), (factor, exponent) in OPTIMAL.items():
        found = laws["optimal_samples", panel, family]
        assert found["A"] == pytest.approx(factor, rel=0.01)
        assert -found["alpha"] == pytest.approx(exponent, abs=0.001)


def test_forms_with_irreducible_error_predict_better(drawn: dict[str, Figure]) -> None:
    laws = [law for panel in drawn["fewer_points"].panels for law in panel.coefficients()]
    missed = {(one["panel"], one["family"]): one["held_out"]["rmse"] for one in laws}
    for (panel, family), rmse in missed.items():
        if panel.startswith("With E"):
            assert rmse < missed[panel.replace("With E", "Without E"), family]


@pytest.mark.parametrize("name", ["error_vs_compute", "models", "optimal_samples"])
def test_pictures_are_as_they_were(drawn: dict[str, Figure], name: str, tmp_path: Path) -> None:
    with mpl.rc_context(PAPER):
        figure_of(drawn[name].panels, "double").savefig(tmp_path / "now.png", dpi=60)

    now, before = coarse(tmp_path / "now.png"), coarse(BASELINES / f"{name}.png")

    assert now.shape == before.shape
    assert np.sqrt(np.mean((now - before) ** 2)) < MOST_RMS


def coarse(path: Path) -> np.ndarray:
    """The picture in grey, means over squares of 8 pixels."""
    grey = imread(path)[..., :3].mean(axis=-1)
    rows, columns = (size // 8 for size in grey.shape)
    return grey[: rows * 8, : columns * 8].reshape(rows, 8, columns, 8).mean(axis=(1, 3))


def test_files_are_the_same_each_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in ("a", "b"):
        with pytest.raises(SystemExit) as left:
            main(["figures", "models", "error_vs_compute", "-o", str(tmp_path / folder), "--json"])
        assert left.value.code == 0
        report = json.loads(capsys.readouterr().out)

    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == [
        *(f"error_vs_compute.{suffix}" for suffix in ("csv", "pdf", "png", "tex")),
        *(f"models.{suffix}" for suffix in ("csv", "pdf", "png")),
    ]
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert [one["name"] for one in report] == ["models", "error_vs_compute"]
    assert report[1]["laws"][0]["parameters"]["alpha"] == pytest.approx(0.2273, abs=0.001)


def test_what_a_study_lacks_is_skipped_with_a_word(points: pd.DataFrame) -> None:
    mine = points[points["family"] == "clip"].assign(dataset="mine")
    recipe = recipes(["error_vs_compute"])["error_vs_compute"]

    nothing = draw("x", recipe, mine, Override())
    half = draw("x", recipe, mine, Override(dataset="mine", task="imagenet1k", metric="acc1"))

    assert nothing.panels == ()
    assert "nothing was measured of clip, mammut" in nothing.skipped[0]
    assert [law["family"] for one in half.panels for law in one.coefficients()] == ["clip"]
    assert half.skipped == ("ImageNet-1k, DataComp-1.4B: nothing was measured of mammut",)


@pytest.mark.parametrize(
    ("panel", "said"),
    [
        ("{title: a}", "panels.0.task: is required"),
        ("{titel: a}", "panels.0.titel: unknown key 'titel'; did you mean 'title'?"),
        ("{fit_to: -1}", "panels.0.fit_to"),
        ("3", "panels.0"),
    ],
)
def test_a_wrong_recipe_is_named_with_its_file_and_key(
    tmp_path: Path, panel: str, said: str
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"shows: nothing\npanels: [{panel}]\n")

    with pytest.raises(GridError) as raised:
        read_recipe(path)

    assert str(path) in str(raised.value)
    assert said in str(raised.value)


def test_wrong_names_are_one_message(capsys: pytest.CaptureFixture[str]) -> None:
    for words, said in (
        (["figures", "sample"], "did you mean 'samples'?"),
        (["figures", "--formats", "pdf,gif"], "'gif' is none of pdf, png, svg"),
    ):
        with pytest.raises(SystemExit) as left:
            main(words)
        assert left.value.code == 2
        assert said in capsys.readouterr().err
