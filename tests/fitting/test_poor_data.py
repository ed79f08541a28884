"""Data that cannot be fitted give one message that says why, never a number and no traceback."""

import json
from collections.abc import Callable
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from fitting import LAWS, Analysis, FitError, Options, analyse
from fitting.frontier_methods import METHODS
from fitting.surfaces import Cells

Spoil = Callable[[pd.DataFrame], pd.DataFrame]


@pytest.fixture(scope="module")
def clean(simulate) -> pd.DataFrame:
    return simulate()


def every(**columns: object) -> Spoil:
    """All rows get these values."""
    return lambda points: points.assign(**columns)


def one(column: str, value: object, row: int = 3) -> Spoil:
    """One row gets this value."""

    def spoil(points: pd.DataFrame) -> pd.DataFrame:
        values = points[column].astype(object if isinstance(value, str | bool) else float)
        values.iloc[row] = value
        return points.assign(**{column: values})

    return spoil


def times(column: str, factor: float) -> Spoil:
    return lambda points: points.assign(**{column: points[column] * factor})


REFUSED: dict[str, tuple[Spoil, str]] = {
    "empty table": (lambda points: points.head(0), "has no rows"),
    "no columns": (lambda points: pd.DataFrame(), "lacks the columns study, dataset"),
    "one point": (lambda points: points.head(1), "1 cells, all at .* different compute"),
    "two points": (lambda points: points.head(2), "2 cells does not fall with compute"),
    "three points": (lambda points: points.iloc[::30], "3 cells has 3 points"),
    "one compute": (every(compute_gflops=5e9), "72 cells, all at 5e.09 GFLOPs"),
    "chance": (every(error=0.999), "they are at chance"),
    "all errors 0": (every(error=0.0), "within 1 % of one another"),
    "error rises": (lambda points: points.assign(error=1 - points["error"]), "does not fall"),
    "NaN": (one("error", np.nan), "1 of 72 cells have no finite error"),
    "inf": (one("error", np.inf), "1 of 72 cells have no finite error"),
    "negative": (one("error", -0.1), "errors from -0.1 .* not percent"),
    "percent": (times("error", 100), "errors from .* not percent"),
    "one percent": (one("error", 45.0), "to 45 where acc1 allows 0 to 1"),
    "negative loss": (
        lambda points: points.assign(metric="loss", error=-points["error"]),
        "a loss cannot be negative",
    ),
    "huge loss": (
        lambda points: points.assign(metric="loss", error=1e200 * points["error"]),
        "the largest loss is 9.88e.199",
    ),
    "no compute": (one("compute_gflops", 0.0), "1 of 72 cells have no positive, finite compute"),
    "NaN compute": (one("compute_gflops", np.nan), "1 of 72 cells have no positive, finite"),
    "negative compute": (one("compute_gflops", -1e9), "1 of 72 cells have no positive, finite"),
    "1e300 once": (one("compute_gflops", 1e300), "to 1e.300 GFLOPs are no study's"),
    "1e300": (times("compute_gflops", 1e288), "GFLOPs are no study's"),
    "two units": (one("compute_gflops", 1e29), "within a factor of 1e.20 of one another"),
    "no samples": (one("samples_seen", 0.0), "1 of 72 cells have no positive, finite samples"),
    "NaN samples": (one("samples_seen", np.nan), "1 of 72 cells have no positive, finite sam"),
    "text": (one("error", "abc"), "not a number .*: error is 'abc' in row 4"),
    "number as text": (one("error", "0.5"), "not a number .*: error is '0.5' in row 4"),
    "all text": (
        lambda points: points.assign(error=points["error"].astype(str)),
        "error is '0.98.*' in row 1 and 71 more",
    ),
    "text compute": (one("compute_gflops", "1e9 "), "compute_gflops is '1e9 ' in row 4"),
    "text samples": (one("samples_seen", "12.8M"), "samples_seen is '12.8M' in row 4"),
    "truth": (one("error", True), "error is True in row 4"),
    "no family": (every(family=None), "have no family"),
    "negative chance": (every(chance_error=-1.0), "has chance_error -1; give a finite number"),
    "chance in percent": (every(chance_error=99.9), "chance error of 99.9 where acc1 allows"),
    "one class": (every(classes=1), "has classes 1; give a finite number above 1"),
    "no class": (every(classes=0), "has classes 0; give a finite number above 1"),
    "text classes": (every(classes="many"), "classes is 'many' in row 1 and 71 more"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_fitted_is_refused_with_the_reason(clean: pd.DataFrame, name: str) -> None:
    spoil, message = REFUSED[name]

    with pytest.raises(FitError, match=message):
        analyse(spoil(clean), Options(refits=100))


@pytest.mark.parametrize("frontier", METHODS)
def test_all_held_out_is_refused_by_every_frontier(clean: pd.DataFrame, frontier: str) -> None:
    with pytest.raises(FitError, match="0 cells at or below 1 GFLOPs"):
        analyse(clean, Options(refits=100, max_compute=1.0, frontier=frontier))


def sound(analysis: Analysis) -> None:
    """Every prediction lies in its interval and is plain JSON."""
    json.dumps(analysis.to_json(), allow_nan=False)
    for found in analysis.fits:
        for at in found.predict((found.largest_measured, 10 * found.largest_measured)):
            assert 0 <= at.low <= at.error <= at.high
            assert np.isfinite(at.error)


@pytest.mark.parametrize("law", [*LAWS, "auto"])
@pytest.mark.parametrize(
    "spoil",
    [
        one("compute_gflops", 1e20, row=-1),
        one("error", 0.0, row=0),
        one("error", 1.0, row=-1),
        times("error", 1e-9),
        times("compute_gflops", 1e-20),
        lambda points: points.assign(error=80 * points["compute_gflops"] ** -0.24),
        lambda points: points.assign(error=np.where(points["compute_gflops"] < 1e9, 0.9, 0.3)),
        lambda points: points.assign(error=points["error"].round(1)),
    ],
    ids=["far", "0 early", "1 late", "tiny", "small unit", "exact", "two levels", "rounded"],
)
def test_odd_data_give_a_message_or_a_sound_result(clean, law: str, spoil: Spoil) -> None:
    try:
        analysis = analyse(spoil(clean), Options(refits=100, law=law))
    except FitError as error:
        assert "could be fitted" in str(error)  # noqa: PT017 - either outcome is right
    else:
        sound(analysis)


def test_one_model_only_is_fitted(clean: pd.DataFrame) -> None:
    """Its frontier is its own curve, which flattens; the series cannot know that."""
    analysis = analyse(clean[clean["model"] == "size-3"], Options(refits=100))

    sound(analysis)
    assert len(analysis.fits) == 1


def test_of_two_cells_at_one_compute_the_better_counts(clean: pd.DataFrame) -> None:
    worse = clean.assign(error=np.minimum(clean["error"] + 0.05, 1.0))

    here, there = (
        analyse(points, Options(refits=100, frontier="pareto"))
        for points in (clean, pd.concat([clean, worse]))
    )

    assert there.fits[0].fit.parameters == here.fits[0].fit.parameters
    assert sum(there.fits[0].frontier.left_out.values()) > len(clean)


def test_five_points_claim_no_level(clean: pd.DataFrame) -> None:
    few = clean.sort_values("compute_gflops").iloc[::15]

    (found,) = analyse(few, Options(refits=100)).fits

    assert found.claim is None
    assert "fewer than 8 points" in found.doubt


def test_numbers_of_other_kinds_are_numbers(clean: pd.DataFrame) -> None:
    exact = clean.assign(error=[np.float64(error) for error in clean["error"]])

    here, there = (
        analyse(points, Options(refits=100)).to_json()["fits"]
        for points in (clean, exact.astype({"error": object, "samples_seen": object}))
    )

    assert here == there


@pytest.mark.parametrize("value", ["12.8M", Decimal("0.5"), b"1"])
def test_cells_of_a_surface_are_numbers_too(clean: pd.DataFrame, value: object) -> None:
    spoilt = clean.astype({"samples_seen": object})
    spoilt.loc[2, "samples_seen"] = value

    with pytest.raises(FitError, match=r"samples_seen is .* in row 3"):
        Cells.from_points(spoilt)
