"""`scaling tasks`: the catalogue as a user sees it."""

import json
from pathlib import Path
from typing import Any

import pytest
import webdataset
from typer.testing import CliRunner, Result

from scaling.cli.app import app
from scaling.evals._catalogue import CATALOGUE
from scaling.evals._suites import SUITES


@pytest.fixture(autouse=True)
def _no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SCALING_EVALUATION_SETS", raising=False)


def tasks(*words: str) -> Result:
    return CliRunner().invoke(app, ["tasks", *words])


def listed(*words: str) -> dict[str, Any]:
    result = tasks(*words, "--json")
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def put(folder: Path, name: str) -> None:
    """A set of one picture, whose content nobody looks at."""
    (folder / name / "test").mkdir(parents=True)
    (folder / name / "classnames.txt").write_text("cat\ndog\n")
    (folder / name / "test" / "nshards.txt").write_text("1\n")
    with webdataset.TarWriter(str(folder / name / "test" / "0.tar"), encoder=False) as writer:
        writer.write({"__key__": "s0", "jpg": b"", "cls": b"0"})


def test_everything_is_listed() -> None:
    found = listed()

    assert [task["name"] for task in found["tasks"]] == list(CATALOGUE)
    assert [suite["name"] for suite in found["suites"]] == list(SUITES)
    shown = tasks().stdout
    for name in (*CATALOGUE, *SUITES):
        assert f"\n{name} " in shown


def test_what_is_here_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "wds_objectnet_test")

    nowhere, here = listed(), listed("--evaluation-sets", str(tmp_path))

    by_name = {task["name"]: task["here"] for task in here["tasks"]}
    assert by_name["objectnet"] is True
    assert by_name["imagenet1k"] is False
    assert by_name["shapes_classification"] is True
    assert {task["here"] for task in nowhere["tasks"] if "shapes" not in task["name"]} == {None}
    assert "SCALING_EVALUATION_SETS" in tasks().stdout
    (shift,) = (suite for suite in here["suites"] if suite["name"].startswith("imagenet_dist"))
    assert shift["members_here"] == 1
    monkeypatch.setenv("SCALING_EVALUATION_SETS", str(tmp_path))
    assert listed() == here


def test_a_task_is_told_with_how_to_obtain_it(tmp_path: Path) -> None:
    shown = tasks("fmow", "--evaluation-sets", str(tmp_path)).stdout

    assert "acc_worst_region (the main one), acc1" in shown
    assert "https://huggingface.co/datasets/djghosh/wds_wilds-fmow_test" in shown
    place = tmp_path / "wds_wilds-fmow_test"
    assert f"hf download djghosh/wds_wilds-fmow_test --repo-type dataset --local-dir {place}" in (
        shown
    )
    assert "here     no: " in shown


def test_a_suite_is_told_with_its_members() -> None:
    shown = tasks("imagenet_distribution_shift").stdout

    assert "mean of  5 tasks, 0 of them here: imagenet_v2, imagenet_r" in shown
    assert "kind" not in shown


def test_check_names_what_is_missing_and_fails(tmp_path: Path) -> None:
    put(tmp_path, "wds_objectnet_test")
    folder = ("--evaluation-sets", str(tmp_path), "--check")

    whole, part = tasks("objectnet", *folder), tasks("imagenet_distribution_shift", *folder)

    assert (whole.exit_code, whole.stdout) == (0, "1 of 1 tasks can be measured here\n")
    assert part.exit_code == 1
    assert f"imagenet_a: {tmp_path}: unknown evaluation set 'wds_imagenet-a_test'" in part.stdout
    assert "objectnet" not in part.stdout.replace("wds_objectnet_test", "")
    assert "1 of 5 tasks can be measured here" in part.stdout


def test_an_unknown_name_is_an_error_with_the_nearest() -> None:
    result = tasks("imagenet_distribution")

    assert "did you mean 'imagenet_distribution_shift'?" in str(result.exception)
