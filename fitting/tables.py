"""Reports as tables for files: tidy CSV, and LaTeX with the rules of the booktabs package."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

SERIES = ("study", "dataset", "schedule", "task", "metric", "family")
_LATEX = str.maketrans({c: f"\\{c}" for c in "&%$#_{}"})


def fit_rows(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row for each series and predicted compute of `Analysis.to_json`; columns with units."""
    rows = []
    for fit in report["fits"]:
        held_out, calibration = fit["held_out"] or {}, fit["calibration"] or {}
        shared = {
            **{key: fit[key] for key in SERIES},
            "law": fit["law"],
            **{name: fit["parameters"][name] for name in fit["parameters"]},
            "n_points": fit["n_points"],
            "rmse": fit["rmse"],
            "n_held_out": fit["n_held_out"],
            "held_out_rmse": held_out.get("rmse"),
            "held_out_bias": held_out.get("bias"),
            "status": fit["status"],
            "calibration_factor": calibration.get("factor"),
            "calibration_n": calibration.get("n"),
            "data_sha256": fit["data_sha256"],
        }
        rows += [
            {
                **shared,
                "compute_gflops": at["compute_gflops"],
                "error": at["error"],
                "error_low": at["low"],
                "error_high": at["high"],
                "error_new_low": at["new_low"],
                "error_new_high": at["new_high"],
            }
            for at in fit["predictions"]
        ]
    return rows


def to_csv(report: Mapping[str, Any]) -> str:
    """The rows of `fit_rows` as CSV."""
    rows = fit_rows(report)
    columns = dict.fromkeys(column for row in rows for column in row)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def to_latex(report: Mapping[str, Any]) -> str:
    r"""A `tabular` of laws, one row a series; needs ``\usepackage{booktabs}``.

    Comments before it say what it was made of and with.
    """
    lines = [
        *_provenance(report),
        r"\begin{tabular}{lllrrrrrrr}",
        r"\toprule",
        r"task & data & family & $A$ & $\ln B$ & $\alpha$ & $E$ & points & RMSE & held out \\",
        r"\midrule",
    ]
    for fit in report["fits"]:
        parameters, held_out = fit["parameters"], fit["held_out"]
        cells = [
            f"{fit['task']} {fit['metric']}".translate(_LATEX),
            f"{fit['dataset']}, {fit['schedule']}".translate(_LATEX),
            str(fit["family"]).translate(_LATEX),
            *(
                "--" if parameters.get(name) is None else f"{parameters[name]:{style}}"
                for name, style in (("A", ".4g"), ("lnB", ".2f"), ("alpha", ".3f"), ("E", ".3f"))
            ),
            str(fit["n_points"]),
            f"{fit['rmse']:.4f}",
            f"{held_out['rmse']:.4f}" if held_out else "--",
        ]
        lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _provenance(report: Mapping[str, Any]) -> list[str]:
    """Comments: how the fits were made, and the digest of the cells of each."""
    how = ("db", "created", "compute", "by", "options", "versions")
    return [
        *(
            f"% {key}: {json.dumps(report[key], ensure_ascii=True)}"
            for key in how
            if key in report
        ),
        *(
            f"% data_sha256 {fit['data_sha256']} {json.dumps([fit[key] for key in SERIES])}"
            for fit in report["fits"]
        ),
    ]
