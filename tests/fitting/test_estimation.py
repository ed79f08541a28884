"""Weights, losses, priors, default estimator, choice among laws."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

from fitting import LAWS, AnchoredLaw, FitError, Options, analyse
from fitting.fit import fit
from fitting.loss import Loss, loss_named
from fitting.objective import Objective, kappa_named
from fitting.prior import PRIORS, WEAK

GFLOPS = np.geomspace(1e7, 1e12, 22)
ANCHORED = AnchoredLaw(0.999)
TRUTH = {"lnB": 18.7, "alpha": 0.24, "E": 0.11}
ALL = [
    Objective(),
    Objective(kappa=0.5),
    Objective(kappa=0.5, prior=WEAK),
    Objective(loss_named("log")),
    Objective(loss_named("huber:0.002")),
    Objective(loss_named("log-huber:0.01"), prior=WEAK),
]


def truth(gflops: np.ndarray = GFLOPS) -> np.ndarray:
    theta = ANCHORED.from_parameters(TRUTH, 1.0)
    return ANCHORED.error(theta[None], gflops)[0]


def noisy(seed: int = 0, sd: float = 0.008) -> np.ndarray:
    return truth() + sd * np.random.default_rng(seed).standard_normal(len(GFLOPS))


@pytest.mark.parametrize("objective", ALL, ids=lambda one: f"{one.loss} {one.weights_name}")
def test_no_other_search_finds_a_lower_cost(objective: Objective) -> None:
    """Nelder and Mead's simplex knows neither the gradient nor the projection."""
    found = fit(ANCHORED, GFLOPS, noisy(), objective)
    problem = found.problem
    own = problem.cost(found.theta[None])[0]
    low, high = ANCHORED.bounds(problem.points.x[0], problem.points.lowest())

    for step in (-0.3, 0.3):
        other = minimize(
            lambda theta: problem.cost(np.clip(theta, low[0], high[0])[None])[0],
            np.clip(found.theta + step * np.array([1, 0.3, 0.1]), low[0], high[0]),
            method="Nelder-Mead",
            options={"xatol": 1e-9, "fatol": 1e-16, "maxiter": 4000},
        )
        assert own <= other.fun * (1 + 1e-6)


@pytest.mark.parametrize("objective", ALL, ids=lambda one: f"{one.loss} {one.weights_name}")
def test_unit_of_compute_does_not_matter_to_any_objective(objective: Objective) -> None:
    here, there = (fit(ANCHORED, GFLOPS * unit, noisy(), objective) for unit in (1.0, 1e9))

    targets = np.array([1e9, 4e12])
    np.testing.assert_allclose(there.predict(1e9 * targets), here.predict(targets), rtol=1e-5)
    np.testing.assert_allclose(
        there.interval(1e9 * targets), here.interval(targets), rtol=1e-3, atol=1e-5
    )


def test_a_robust_loss_ignores_an_outlier() -> None:
    error = truth()
    error[15] += 0.1

    plain, robust = (
        fit(ANCHORED, GFLOPS, error, Objective(loss))
        for loss in (Loss(), loss_named("huber:0.001"))
    )

    miss = [abs(one.predict(GFLOPS) - truth()).max() for one in (plain, robust)]
    assert miss[1] < 0.1 * miss[0]


def test_stiffness_is_the_derivative_of_the_loss() -> None:
    residual = np.linspace(-0.02, 0.02, 41)
    for loss in (Loss(), Loss(delta=0.005)):
        step = 1e-7
        slope = (loss.rho(residual + step) - loss.rho(residual - step)) / (2 * step)
        np.testing.assert_allclose(
            2 * loss.stiffness(residual) * residual, slope, rtol=1e-4, atol=1e-9
        )


def test_weights_follow_the_predicted_error() -> None:
    found = fit(ANCHORED, GFLOPS, noisy(), Objective(kappa=0.5))

    # Three reweightings leave nothing to gain.
    again = fit(ANCHORED, GFLOPS, found.predict(GFLOPS), Objective(kappa=0.5))
    weight = found.problem.points.weight[0]
    np.testing.assert_allclose(weight, 0.5 / found.predict(GFLOPS))
    np.testing.assert_allclose(again.problem.points.weight[0], weight, rtol=1e-6)
    ratio = found.scatter(GFLOPS[-1:]) / found.scatter(GFLOPS[:1])
    expected = np.sqrt(found.predict(GFLOPS[-1:]) / found.predict(GFLOPS[:1]))
    np.testing.assert_allclose(ratio, expected)


def test_a_prior_matters_with_few_points_and_not_with_many() -> None:
    def pull(points: int) -> float:
        rng = np.random.default_rng(3)
        gflops = np.geomspace(1e7, 3e9, points)
        error = truth(gflops) + 0.004 * rng.standard_normal(points)
        with_prior, without = (
            fit(ANCHORED, gflops, error, Objective(prior=prior)) for prior in (WEAK, None)
        )
        target = np.array([1e12])
        return float(abs(with_prior.predict(target) - without.predict(target))[0])

    assert pull(8) > 0.02
    assert pull(2000) < 0.01


def test_a_prior_is_the_same_for_every_law_with_the_parameter() -> None:
    for law in LAWS.values():
        penalty = WEAK.penalty(law, in_logs=False)
        known = {
            name for name, value in zip(law.parameters, penalty.precision, strict=True) if value
        }
        assert known == {"alpha", "E"} & set(law.parameters)


def test_refits_draw_the_centre_of_the_prior() -> None:
    penalty = WEAK.penalty(ANCHORED, in_logs=False)

    drawn = penalty.drawn(20_000, np.random.default_rng(0)).center

    np.testing.assert_allclose(drawn.mean(axis=0), penalty.center, atol=0.02)
    np.testing.assert_allclose(drawn.std(axis=0), [0.0, 0.4, 0.08], atol=0.01)


def test_an_anchored_law_is_the_four_parameter_law_with_its_a() -> None:
    found = fit(ANCHORED, GFLOPS, noisy())
    full = LAWS["saturating"]

    theta = full.from_parameters(found.parameters, found.scale)

    there = full.error(theta[None], GFLOPS / found.scale)[0]
    np.testing.assert_allclose(there, found.predict(GFLOPS), rtol=1e-12)
    assert found.predict(np.array([1e-9]))[0] == pytest.approx(0.999)


@pytest.mark.parametrize("law", ["saturating", "anchored", "no-floor"])
def test_aicc_is_that_of_the_textbook(law: str) -> None:
    found = fit(LAWS[law], GFLOPS, noisy())

    n, k = len(GFLOPS), len(found.theta) + 1
    residual = found.measured - found.predict(found.gflops)
    variance = np.mean(residual**2)
    likelihood = -0.5 * n * np.log(2 * np.pi * variance) - 0.5 * n
    expected = -2 * likelihood + 2 * k + 2 * k * (k + 1) / (n - k - 1)
    assert found.aicc == pytest.approx(expected)


def test_aicc_of_a_log_loss_is_of_the_errors_not_of_their_logarithms() -> None:
    """Under 1 % noise both losses fit alike, and then their criteria are alike."""
    error = truth() * (1 + 0.01 * np.random.default_rng(0).standard_normal(len(GFLOPS)))

    log, proportional = (
        fit(ANCHORED, GFLOPS, error, objective)
        for objective in (Objective(loss_named("log")), Objective(kappa=1.0))
    )

    assert log.aicc == pytest.approx(proportional.aicc, abs=0.5)


def test_the_line_is_the_regression_of_logarithms() -> None:
    error = 30 * GFLOPS**-0.2 * np.exp(0.05 * np.random.default_rng(0).standard_normal(22))
    slope, intercept = np.polyfit(np.log(GFLOPS), np.log(error), 1)

    found = fit(LAWS["line"], GFLOPS, error, Objective(kappa=0.5, prior=WEAK))

    assert found.parameters["alpha"] == pytest.approx(-slope, rel=1e-6)
    assert np.log(found.parameters["A"]) == pytest.approx(intercept, rel=1e-6)


@pytest.mark.parametrize("law", sorted(LAWS))
def test_exact_points_of_every_law_are_recovered(law: str) -> None:
    values = {"A": 20.0, "lnB": 18.0, "alpha": 0.2, "E": 0.05}
    one = LAWS[law]
    theta = one.from_parameters({name: values[name] for name in one.parameters}, 1.0)
    error = one.error(theta[None], GFLOPS)[0]

    found = fit(one, GFLOPS, error)

    assert {name: found.parameters[name] for name in one.parameters} == pytest.approx(
        {name: values[name] for name in one.parameters}, rel=1e-5
    )


def test_a_parameter_at_the_end_of_the_search_withdraws_the_claim(simulate) -> None:
    """A step that no exponent of the search is steep enough for."""
    gflops = np.array([1e9, 2e9, 4e9, 8e9, 1.6e10, 3.2e10, 6.4e10, 1.28e11, 2.56e11])
    error = 0.9 * np.exp(-gflops / 5e10) + 0.01

    found = fit(LAWS["saturating"], gflops, error)

    assert found.at_edge
    assert set(found.at_edge) <= set(found.at_bound)
    rows = simulate(sizes=3, lengths=3).assign(compute_gflops=gflops, error=error)
    analysis = analyse(rows, Options(law="saturating", refits=100, frontier="pareto"))
    assert analysis.fits[0].claim is None


def test_six_points_claim_nothing(simulate) -> None:
    rows = simulate(sizes=2, lengths=3, noise=0.001)

    (entry,) = analyse(rows, Options(refits=100, frontier="pareto")).to_json()["fits"]

    assert entry["n_points"] < 8
    assert entry["interval"]["claim"] is None
    assert "fewer than 8 points" in entry["interval"]["doubt"]
    assert any("no 95 % claim" in note for note in entry["notes"])


@pytest.mark.parametrize(
    ("options", "law", "weights", "prior"),
    [
        ({}, "anchored", "power:0.5", "weak"),
        ({"frontier": "published"}, "saturating", "equal", "none"),
        ({"law": "saturating"}, "saturating", "equal", "none"),
        ({"law": "auto"}, "auto", "power:0.5", "none"),
        ({"law": "anchored", "loss": "log"}, "anchored", "equal", "weak"),
        ({"weights": "equal", "prior": "none"}, "anchored", "equal", "none"),
    ],
)
def test_defaults_are_reported(simulate, options, law, weights, prior) -> None:
    report = analyse(simulate(), Options(refits=100, **options)).to_json()

    assert report["options"]["law"] == law
    assert report["options"]["weights"] == weights
    assert report["options"]["prior"] == prior
    (entry,) = report["fits"]
    expected = {"loss": options.get("loss", "squares"), "weights": weights, "prior": prior}
    if law != "auto":
        assert entry["estimation"] == expected
    assert {"A", "lnB", "alpha", "E"} <= set(entry["full_law"]["parameters"])


def test_a_loss_has_no_chance_error_and_says_what_was_fitted_instead(simulate) -> None:
    loss = simulate().assign(metric="loss")

    (entry,) = analyse(loss, Options(refits=100)).to_json()["fits"]

    assert entry["law"] == "saturating"
    assert entry["estimation"] == {"loss": "squares", "weights": "equal", "prior": "none"}
    assert any("chance is not known" in note for note in entry["notes"])
    with pytest.raises(FitError, match="chance is not known"):
        analyse(loss, Options(law="anchored", refits=100))
    named = analyse(loss, Options(law="anchored", refits=100, chance_error=1.0))
    assert named.fits[0].fit.law == AnchoredLaw(1.0)


@pytest.mark.parametrize(
    ("columns", "options", "expected"),
    [
        ({}, {}, 1.0),
        ({"classes": 50}, {}, 0.98),
        ({"chance_error": 0.95}, {}, 0.95),
        ({"chance_error": 0.95}, {"chance_error": {"shapes_classification": 0.97}}, 0.97),
        ({"chance_error": 0.95}, {"chance_error": {"other": 0.97}}, 0.95),
    ],
)
def test_chance_error_comes_from_option_column_or_classes(
    simulate, columns, options, expected
) -> None:
    analysis = analyse(simulate().assign(**columns), Options(refits=100, **options))

    law = analysis.fits[0].fit.law
    assert isinstance(law, AnchoredLaw)
    assert law.chance == pytest.approx(expected)


def test_two_chance_errors_of_one_series_are_refused(simulate) -> None:
    rows = simulate()

    with pytest.raises(FitError, match="2 different values of chance_error"):
        analyse(rows.assign(chance_error=np.where(rows.index < 5, 0.9, 0.95)), Options())


def test_auto_lists_every_law_and_chooses_by_aicc_alone(simulate) -> None:
    points = simulate(noise=0.003, sizes=12, lengths=11)

    (entry,) = analyse(points, Options(law="auto", refits=100, max_compute=1e11)).to_json()["fits"]

    listed = entry["candidates"]
    assert {one["law"] for one in listed} == set(LAWS)
    assert [one["aicc"] for one in listed] == sorted(one["aicc"] for one in listed)
    assert [one["chosen"] for one in listed] == [True] + [False] * (len(LAWS) - 1)
    assert entry["law"] == listed[0]["law"]
    assert entry["law"] in ("anchored", "saturating")
    assert all(one["held_out"] is not None for one in listed)
    assert any("chosen by AICc" in note for note in entry["notes"])


@pytest.mark.parametrize("law", ["auto", "auto:backtest"])
def test_held_out_cells_take_no_part_in_the_choice(simulate, law: str) -> None:
    points = simulate()
    beyond = points["compute_gflops"] > 1e11
    worse = points.assign(error=np.where(beyond, 0.5 * points["error"], points["error"]))
    options = Options(law=law, refits=100, max_compute=1e11)

    here, there = (analyse(table, options).to_json()["fits"][0] for table in (points, worse))

    for key in ("law", "chosen", "aicc", "backtest", "n_backtest"):
        assert [one[key] for one in here["candidates"]] == [
            one[key] for one in there["candidates"]
        ]


def test_auto_may_choose_by_what_each_law_predicted_from_rolling_origins(simulate) -> None:
    points = simulate(noise=0.003, sizes=12, lengths=11)
    options = Options(law="auto:backtest", refits=100, max_compute=1e11)

    (entry,) = analyse(points, options).to_json()["fits"]

    listed = entry["candidates"]
    scores = [one["backtest"]["rmse"] for one in listed]
    assert {one["law"] for one in listed} == set(LAWS)
    assert scores == sorted(scores)
    assert len({one["n_backtest"] for one in listed}) == 1
    assert listed[0]["n_backtest"] > 10
    assert (entry["law"], listed[0]["chosen"]) == (listed[0]["law"], True)
    assert any("by RMSE of" in note and "rolling origins" in note for note in entry["notes"])


def test_without_a_backtest_the_choice_falls_to_aicc_and_says_so(simulate) -> None:
    points = simulate()
    middle = points["compute_gflops"].between(1e9, 2.4e10)
    options = Options(law="auto:backtest", refits=100, calibrate=False)

    (fit,) = analyse(points[middle], options).fits

    assert all(one.backtest is None for one in fit.candidates)
    assert any("by AICc, since no origin" in note for note in fit.notes)


def test_errors_of_zero_have_no_logarithm() -> None:
    with pytest.raises(FitError, match="no logarithm"):
        fit(ANCHORED, GFLOPS, np.append(noisy()[:-1], 0.0), Objective(loss_named("log")))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("loss", "absolute", "unknown loss 'absolute'.*log-huber"),
        ("loss", "huber:x", "no positive number"),
        ("loss", "log:3", "unknown loss"),
        ("weights", "power:-1", "unknown weights"),
        ("weights", "equal:2", "unknown weights"),
        ("prior", "strong", "unknown prior 'strong'.*weak"),
        ("interval", "normal", "unknown interval 'normal'.*profile"),
        ("resample", "rows", "unknown resample 'rows'.*runs"),
        ("chance_error", -1.0, "chance_error is -1.0"),
    ],
)
def test_wrong_names_are_answered_with_the_right_ones(field, value, message) -> None:
    with pytest.raises(FitError, match=message):
        Options(**{field: value})


def test_options_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(FitError, match="takes weights equal"):
        Options(loss="log", weights="power:0.5")
    with pytest.raises(FitError, match="no profile likelihood"):
        Options(loss="huber", interval="profile")


def test_names_round_trip() -> None:
    for name in ("squares", "log", "huber:0.005", "log-huber:0.001"):
        assert str(loss_named(name)) == name
    for name in ("equal", "power:0.5"):
        assert Objective(kappa=kappa_named(name)).weights_name == name
    assert Objective(prior=PRIORS["weak"]).prior_name == "weak"


def test_a_run_is_resampled_with_all_its_cells(simulate) -> None:
    """Cells of a trial share its luck, so that drawing trials scatters more than drawing cells."""
    rng = np.random.default_rng(0)
    points = simulate(noise=0.0, sizes=10, lengths=9)
    luck = pd.Series(rng.normal(0, 0.02, 10), index=[f"size-{i}" for i in range(10)])
    error = points["error"] + points["model"].map(luck).to_numpy()
    points = points.assign(error=error.clip(0, 1), trial=points["model"])

    def spread(kind: str) -> float:
        analysis = analyse(points, Options(refits=300, resample=kind, prior="none"))
        refits = analysis.fits[0].refits
        assert refits is not None
        low, high = np.quantile(refits.predict(np.array([1e11]))[:, 0], [0.1, 0.9])
        return float(high - low)

    assert spread("runs") > spread("cells")
    assert spread("points") > 0


def test_a_new_run_scatters_more_than_the_law(simulate) -> None:
    for interval in ("t", "profile", "bootstrap"):
        analysis = analyse(simulate(), Options(refits=200, interval=interval))
        for one in analysis.fits[0].predict((1e10, 1e13)):
            assert one.new_low < one.low <= one.error <= one.high < one.new_high
