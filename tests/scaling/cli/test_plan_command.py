import json
from pathlib import Path

import pytest
import yaml

from scaling.cli import main

GRIDS = Path(__file__).parents[3] / "experiments"
QUICKSTART = GRIDS / "quickstart.yaml"


def printed(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    assert not left.value.code
    return capsys.readouterr().out


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)


def grid(folder: Path, **changes: object) -> Path:
    content = {**yaml.safe_load(QUICKSTART.read_text()), **changes}
    path = folder / "grid.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_a_plan_fits_80_columns_and_keeps_its_numbers_whole(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:

    text = printed(capsys, "plan", QUICKSTART, "--gpus", "8")
    assert max(map(len, text.splitlines())) <= 80
    assert "about" in text
    assert "40% less" in text

    for line in printed(capsys, "run", QUICKSTART, "--dry-run").splitlines():
        assert len(line) <= 80, line


def test_json_says_what_the_tables_say(capsys: pytest.CaptureFixture[str]) -> None:
    said = json.loads(printed(capsys, "plan", QUICKSTART, "--gpus", "4", "--json"))

    assert (said["cells"], len(said["trials"]), said["left"]["trials"]) == (56, 64, 64)
    assert said["machine"]["gpus"] == 4
    assert said["makespan"]["seconds"] >= said["makespan"]["lower_bound_seconds"] * 0.999
    assert said["trunk_sharing"]["saved"] == pytest.approx(0.397, abs=0.01)
    assert sum(its["device_hours"] for its in said["models"]) == pytest.approx(
        said["device_hours"]
    )


def test_check_names_everything_that_is_missing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    bad = grid(
        tmp_path,
        datasets={
            "here": {"kind": "shapes"},
            "gone": {"kind": "webdataset", "shards": "/nowhere/{0..1}.tar"},
            "lost": {"kind": "webdataset", "shards": "/nowhere/else.tar"},
        },
        resources={"tiny-d": {"gpus": 512}},
    )
    assert printed(capsys, "plan", bad)  # planning needs none of it

    with pytest.raises(SystemExit) as left:
        main(["plan", str(bad), "--check"])

    said = capsys.readouterr().err
    assert left.value.code == 2
    for word in ("3 problems", "datasets.gone", "datasets.lost", "tiny-d asks for 512 GPUs"):
        assert word in said


def test_a_store_that_is_not_there_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["plan", str(QUICKSTART), "--db", "none.db"])

    assert left.value.code == 2
    assert "none.db" in capsys.readouterr().err
