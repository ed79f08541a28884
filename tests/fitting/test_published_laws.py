"""Oracles for the other laws and losses: published figures, and scores of another program."""

from dataclasses import replace
from io import StringIO

import numpy as np
import pandas as pd
import pytest

from fitting import LAWS, Options
from fitting.fit import fit
from fitting.frontier import frontier
from fitting.series import read_series

TASKS = {
    "imagenet": ("imagenet1k", "acc1"),
    "t2i": ("mscoco_captions", "image_retrieval_recall@5"),
    "i2t": ("mscoco_captions", "text_retrieval_recall@5"),
}

NO_FLOOR = pd.read_csv(
    StringIO("""\
family task     up_to fit_to  samples ties n  A       lnB      alpha    SSE
clip   imagenet 1e11  1e10    1e99    0    14 29.9471 18.22058 0.186009 0.002263
mammut imagenet 1e11  1e12    1e99    1    23 41.4761 18.91628 0.196099 0.002550
clip   imagenet 2e12  2.5e11  1e10    0    22 22.2535 18.08852 0.170926 0.005900
clip   t2i      2e12  2.5e11  1e10    0    21 10.5701 17.68525 0.133002 0.005035
clip   imagenet 2e12  5e11    1e10    0    23 21.9305 18.07403 0.170230 0.005961
clip   t2i      2e12  5e11    1e10    0    22 10.0346 17.60745 0.130513 0.005921
mammut imagenet 2e12  2.5e11  1e10    0    22 39.2603 18.87854 0.193471 0.001926
mammut t2i      2e12  2.5e11  1e10    1    23 15.4941 18.26252 0.148599 0.003440
mammut imagenet 2e12  5e11    1e10    0    23 38.4961 18.86159 0.192565 0.001981
mammut t2i      2e12  5e11    1e10    1    23 15.4941 18.26252 0.148599 0.003440
"""),
    sep=r"\s+",
)
"""Figures 5 and 12 of arXiv:2506.04598 (law without a floor), refitted by another program; columns
as in `test_published.ROWS`."""


def rows_of(published: pd.DataFrame, task: str, **columns: str) -> pd.DataFrame:
    name, metric = TASKS[task]
    rows = published[(published["task"] == name) & (published["metric"] == metric)]
    for column, value in columns.items():
        rows = rows[rows[column] == value]
    return rows


@pytest.mark.parametrize("place", NO_FLOOR.index)
def test_published_figures_without_a_floor_are_refitted(published, place: int) -> None:
    row = NO_FLOOR.loc[place]
    rows = rows_of(
        published, row.task, dataset="datacomp_1b", schedule="cosine", family=row.family
    )
    rows = rows[(rows["compute_gflops"] <= row.up_to) & (rows["samples_seen"] <= row.samples)]
    gflops = rows["compute_gflops"].to_numpy()
    error = rows["error"].to_numpy() + row.ties * 1e-9 * np.log(gflops)
    best = frontier("published", gflops, error)
    kept = best.gflops <= row.fit_to

    found = fit(LAWS["no-floor"], best.gflops[kept], best.error[kept])

    assert int(kept.sum()) == row.n
    values = [*found.parameters.values(), found.sse]
    np.testing.assert_allclose(values, [row.A, row.lnB, row.alpha, row.SSE], rtol=3e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("family", "without", "expected"),
    [
        ("clip", [0, 4], [28659.5, 17.12679, 0.610927, 0.188848, 0.000325]),
        ("mammut", [1], [510898, 17.23414, 0.775072, 0.200986, 0.000300]),
    ],
)
def test_figure_3_over_samples_seen_is_refitted(published, family, without, expected) -> None:
    """Any axis will do for compute. The other program left some lengths out of its frontier."""
    rows = rows_of(published, "imagenet", dataset="datacomp_1b", schedule="cosine", family=family)
    rows = rows[~rows["model"].str.contains("H-") & (rows["samples_seen"] <= 1.3e10)]
    best = frontier("pareto", rows["samples_seen"].to_numpy(float), rows["error"].to_numpy())
    samples, error = np.delete(best.gflops, without), np.delete(best.error, without)

    found = fit(LAWS["saturating"], samples, error)

    values = [*found.parameters.values(), found.sse]
    np.testing.assert_allclose(values, expected, rtol=3e-4, atol=1e-6)


HELD_OUT = pd.read_csv(
    StringIO("""\
threshold dataset      schedule task     family full log log-huber no-floor no-offset line
2.5e11    datacomp_1b  const    i2t      clip   0.73 0.88 0.68 2.24 1.45 0.96
2.5e11    datacomp_1b  const    t2i      clip   2.17 2.10 1.36 2.17 1.30 0.81
2.5e11    datacomp_1b  const    t2i      mammut 1.62 1.46 0.97 0.03 8.53 4.76
2.5e11    datacomp_1b  const    imagenet clip   2.12 2.24 2.36 2.12 2.89 1.15
2.5e11    datacomp_1b  const    imagenet mammut 3.05 2.19 1.73 1.49 11.90 6.81
2.5e11    datacomp_1b  cosine   imagenet clip   0.51 0.40 0.42 1.14 3.59 1.40
2.5e11    relaion2b-en cosine   i2t      mammut 0.73 0.42 0.14 4.51 2.21 1.29
2.5e11    relaion2b-en cosine   t2i      mammut 1.56 0.49 0.34 3.49 2.43 0.80
2.5e11    relaion2b-en cosine   imagenet mammut 0.76 0.69 0.81 0.73 8.08 4.98
5.0e11    datacomp_1b  const    i2t      clip   0.80 1.24 1.24 3.18 0.73 1.36
5.0e11    datacomp_1b  const    t2i      clip   2.18 2.06 1.80 3.06 0.53 1.00
5.0e11    datacomp_1b  const    imagenet clip   2.01 2.26 3.13 3.16 1.70 0.65
5.0e11    datacomp_1b  cosine   i2t      clip   0.44 0.36 0.34 3.52 0.93 1.21
5.0e11    datacomp_1b  cosine   t2i      clip   0.05 0.04 0.10 2.92 0.82 0.88
5.0e11    datacomp_1b  cosine   imagenet clip   0.37 0.36 0.48 1.78 3.70 0.87
5.0e11    relaion2b-en cosine   i2t      mammut 0.54 0.09 0.09 4.71 1.52 1.59
5.0e11    relaion2b-en cosine   t2i      mammut 0.31 0.58 0.77 3.95 1.28 0.87
5.0e11    relaion2b-en cosine   imagenet mammut 0.20 0.42 0.69 0.20 7.13 3.66
"""),
    sep=r"\s+",
)
"""Held-out RMSE in percentage points of six estimators of another program."""
ESTIMATORS = {
    "full": Options(law="saturating", frontier="published"),
    "log": Options(law="saturating", frontier="published", loss="log"),
    "log-huber": Options(law="saturating", frontier="published", loss="log-huber"),
    "no-floor": Options(law="no-floor", frontier="published"),
    "no-offset": Options(law="no-offset", frontier="published"),
    "line": Options(law="line", frontier="published"),
}


@pytest.mark.parametrize("place", HELD_OUT.index)
@pytest.mark.parametrize("name", ESTIMATORS)
def test_held_out_errors_of_every_law_and_loss(published, name: str, place: int) -> None:
    row = HELD_OUT.loc[place]
    columns = {key: row[key] for key in ("dataset", "schedule", "family")}
    (series,) = read_series(rows_of(published, row.task, **columns), None, lambda _: row.threshold)

    found = replace(ESTIMATORS[name].estimator, refits=0).apply(series)

    assert found.score is not None
    assert 100 * found.score.rmse == pytest.approx(row[name], abs=0.0061)
