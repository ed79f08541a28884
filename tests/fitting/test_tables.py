import csv
import io
import re

import pandas as pd
import pytest

from fitting import Options, analyse
from fitting.tables import to_csv, to_latex


@pytest.fixture(scope="module")
def report(published: pd.DataFrame) -> dict[str, list[dict[str, object]]]:
    rows = published[
        (published["dataset"] == "datacomp_1b")
        & (published["schedule"] == "cosine")
        & (published["task"] == "imagenet1k")
    ]
    return analyse(rows, Options(refits=100, max_compute=2.5e11), ("clip", "mammut")).to_json()


def test_csv_holds_every_prediction_of_every_fit(
    report: dict[str, list[dict[str, object]]],
) -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(report))))

    assert [row["family"] for row in rows] == ["clip", "clip", "mammut", "mammut"]
    predictions = [at for fit in report["fits"] for at in fit["predictions"]]  # type: ignore[attr-defined]
    assert [float(row["error"]) for row in rows] == [at["error"] for at in predictions]
    assert float(rows[0]["alpha"]) == report["fits"][0]["parameters"]["alpha"]  # type: ignore[index]


def test_latex_has_a_row_of_ten_cells_for_each_fit_and_escapes_names(
    report: dict[str, list[dict[str, object]]],
) -> None:
    body = to_latex(report).split(r"\midrule")[1].split(r"\bottomrule")[0].strip().splitlines()

    assert len(body) == 2
    assert all(len(re.findall(r"(?<!\\)&", row)) == 9 for row in body)
    assert r"datacomp\_1b" in body[0]


def test_tables_say_where_their_numbers_come_from(
    report: dict[str, list[dict[str, object]]],
) -> None:
    digests = [fit["data_sha256"] for fit in report["fits"]]

    rows = list(csv.DictReader(io.StringIO(to_csv(report))))
    latex = to_latex({**report, "db": "results\n.db"})
    comments = latex.split(r"\begin{tabular}")[0].splitlines()

    assert [row["data_sha256"] for row in rows[::2]] == digests
    assert [int(row["calibration_n"]) for row in rows[::2]] == [
        fit["calibration"]["n"]  # type: ignore[index]
        for fit in report["fits"]
    ]
    for row, at in zip(rows[:2], report["fits"][0]["predictions"], strict=True):  # type: ignore[call-overload]
        assert float(row["error_new_high"]) == at["new_high"]
    assert all(line.startswith("% ") for line in comments)
    assert [line.split()[2] for line in comments if "data_sha256" in line] == digests
    assert any(line.startswith("% options: ") and "max_compute" in line for line in comments)
    assert comments[0] == r'% db: "results\n.db"'
