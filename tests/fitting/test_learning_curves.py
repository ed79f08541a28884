from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fitting import FitError
from fitting.learning_curves import figure_learning_curves


def test_every_model_is_a_line_from_small_to_large_through_its_best_errors(
    published: pd.DataFrame, tmp_path: Path
) -> None:
    rows = published[
        (published["dataset"] == "datacomp_1b")
        & (published["schedule"] == "cosine")
        & (published["task"] == "imagenet1k")
        & published["family"].isin(["clip", "mammut"])
    ]

    figure = figure_learning_curves(pd.concat([rows, rows.assign(error=1.0)]))
    figure.savefig(tmp_path / "curves.png")

    clip = rows[rows["family"] == "clip"]
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    assert set(lines) == set(clip["model"])
    assert next(iter(lines)) == "ViT-S-32"
    largest = clip[clip["model"] == "ViT-L-14"].sort_values("samples_seen")
    np.testing.assert_array_equal(lines["ViT-L-14"].get_xdata(), largest["samples_seen"])
    np.testing.assert_allclose(lines["ViT-L-14"].get_ydata(), largest["error"])
    assert len(figure.axes) == 2


def test_no_points_are_an_error(published: pd.DataFrame) -> None:
    with pytest.raises(FitError, match="no points"):
        figure_learning_curves(published.iloc[:0])
