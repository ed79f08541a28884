"""Plots show what the analysis holds; nobody's matplotlib settings change."""

from pathlib import Path

import matplotlib as mpl
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fitting import Analysis, Options, analyse
from fitting.plots import draw_comparison, draw_fit, figure_comparison
from fitting.style import LOOKS, look_of, powers_raised


@pytest.fixture(scope="module")
def analysis(figure_1: pd.DataFrame) -> Analysis:
    options = Options(refits=100, max_compute=2.5e11)
    return analyse(figure_1, options, compare=["clip", "mammut"])


@pytest.fixture
def ax() -> Axes:
    return Figure().add_subplot()


def test_figure_has_a_panel_for_each_comparison(analysis: Analysis, tmp_path: Path) -> None:
    figure = figure_comparison(analysis, analysis.comparisons * 3)
    figure.savefig(tmp_path / "figure.png")

    assert len(figure.axes) == 3
    assert (tmp_path / "figure.png").stat().st_size > 20_000


def test_without_comparisons_every_setting_has_a_panel(published: pd.DataFrame) -> None:
    rows = published[(published["dataset"] == "datacomp_1b") & (published["schedule"] == "cosine")]
    rows = rows[rows["task"].isin(["imagenet1k", "datacomp_classification"])]
    analysis = analyse(rows, Options(refits=100))

    figure = figure_comparison(analysis, ())

    assert [ax.get_title(loc="left").split(",")[0] for ax in figure.axes] == [
        "datacomp_classification",
        "imagenet1k",
    ]
    assert len(figure.axes[1].collections) >= 3 * len({"clip", "mammut", "coca", "siglip"})


def test_settings_of_matplotlib_stay_as_they_were(analysis: Analysis) -> None:
    before = dict(mpl.rcParams)

    figure_comparison(analysis, analysis.comparisons)

    assert dict(mpl.rcParams) == before


def test_axes_have_units_and_readable_error_ticks(ax: Axes, analysis: Analysis) -> None:
    draw_comparison(ax, analysis, analysis.comparisons[0])

    assert ax.get_xlabel() == "Compute (forward GFLOPs)"
    assert ax.get_ylabel() == "Error (1 - acc1)"
    low, high = ax.get_ylim()
    ticks = [tick for tick in ax.get_yticks() if low <= tick <= high]
    assert 4 <= len(ticks) <= 9
    assert {ax.yaxis.get_major_formatter()(tick, 0) for tick in ticks} >= {"0.2", "0.3", "0.5"}


def test_law_is_solid_where_fitted_and_dashed_beyond(ax: Axes, analysis: Analysis) -> None:
    fit = analysis.fits[0]

    draw_fit(ax, fit, end=1e13)

    solid, dashed = ax.get_lines()
    assert solid.get_linestyle() == "-"
    assert solid.get_xdata()[-1] <= fit.fit.gflops[-1]
    assert dashed.get_linestyle() == "--"
    assert dashed.get_xdata()[0] >= fit.fit.gflops[-1]
    assert dashed.get_xdata()[-1] == pytest.approx(1e13)


def test_legend_shows_the_law_and_the_crossing_its_value(ax: Axes, analysis: Analysis) -> None:
    (comparison,) = analysis.comparisons
    assert comparison.crossing is not None

    draw_comparison(ax, analysis, comparison)

    entries = [text.get_text() for text in ax.get_legend().get_texts()]
    assert any(
        entry.startswith("clip: ") and "(C + " in entry and "e+" not in entry for entry in entries
    )
    assert "held-out frontier" in entries
    notes = " ".join(text.get_text() for text in ax.texts)
    assert powers_raised(comparison.crossing.interval_text) in notes


def test_families_look_the_same_everywhere_and_differ_in_grey_print() -> None:
    assert len({look.color for look in LOOKS.values()}) == len(LOOKS)
    assert len({look.marker for look in LOOKS.values()}) == len(LOOKS)
    assert look_of("mammut", ["mammut"]) == look_of("mammut", ["clip", "mammut", "other"])
    others = [look_of(name, ["x", "y", "clip"]) for name in ("x", "y")]
    assert len({*others, *LOOKS.values()}) == len(LOOKS) + 2
