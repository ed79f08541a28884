"""Folders of several formats, files of the real tools, mutated files, and death amid an import."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import real_results
from test_import_clip_benchmark import RESULT, SAID, write
from test_import_open_clip import log_folder, result
from test_import_reference_study import frame
from typer.testing import CliRunner

from scaling.cli.app import app, repeated
from scaling.errors import ScalingError
from scaling.store import Store
from scaling.store.imports import ColumnMap, TreeSummary, import_tree, read, record

MAP = ColumnMap(constants=SAID)


def mixed(folder: Path) -> Path:
    """A folder with files of several formats, some of none, and one that is torn."""
    log_folder(folder / "logs" / "a_run", result(3, 0.25), epochs=3)
    checkpoints = folder / "logs" / "a_run" / "checkpoints"
    write(checkpoints, "cars.json", pretrained="epoch_3.pt", dataset="wds/cars")
    write(folder, "elsewhere.json")
    frame().to_csv(folder / "study.csv", index=False)
    (folder / "strange.csv").write_text("a,b\n1,2\n")
    (folder / "settings.json").write_text('{"some": "settings"}')
    (folder / "notes.txt").write_text("notes")
    (folder / "torn.json").write_text('{"dataset": "wds/imagenet1k", "metr')
    return folder


def contents(store: Store) -> list[dict[str, Any]]:
    return sorted(
        (dict(point) for point in store.points(study="all")),
        key=lambda p: json.dumps(p, default=str),
    )


def bring_in(store: Store, folder: Path, **options: Any) -> TreeSummary:
    return import_tree(store, folder, ColumnMap(constants=SAID), study="all", **options)


def test_each_file_is_told_by_its_content_and_none_is_left_unsaid(
    store: Store, tmp_path: Path
) -> None:
    folder = mixed(tmp_path / "all")

    summary = bring_in(store, folder)
    again = bring_in(store, folder)

    assert [Path(path).name for path in summary.imported] == [
        "elsewhere.json",
        "study.csv",
        "a_run",
        "cars.json",
    ]
    assert [Path(path).name for path in summary.refused] == ["torn.json"]
    assert {Path(path).name for path in summary.unknown} >= {"settings.json", "notes.txt"}
    assert "strange.csv" in str(summary)
    assert again.as_dict()["imported"] == 0
    assert again.as_dict()["already_there"] == summary.as_dict()["imported"] > 0


def test_a_table_in_a_folder_is_read_if_its_columns_are_known(
    store: Store, tmp_path: Path
) -> None:
    (tmp_path / "x").mkdir()
    header = "family,params,dataset,schedule,task,metric,samples_seen,value\n"
    (tmp_path / "x" / "lm.csv").write_text(header + "gpt,70M,c4,cosine,lm,loss,1B,3.5\n")

    summary = import_tree(store, tmp_path / "x", ColumnMap())

    assert (summary.study, summary.as_dict()["imported"]) == ("x", 1)
    with pytest.raises(ScalingError, match="holds nothing in a format"):
        import_tree(store, tmp_path / "x", ColumnMap(), name="open-clip")


def test_json_in_a_runs_checkpoints_is_of_that_run(store: Store, tmp_path: Path) -> None:
    folder = log_folder(tmp_path / "a_run", result(4, 0.25))
    write(folder / "checkpoints", "cars.json", pretrained="epoch_4.pt", dataset="wds/cars")

    import_tree(store, folder, ColumnMap(constants={"dataset": "datacomp"}), study="all")

    points = {point["task"]: point for point in store.points(study="all")}
    assert points["cars"]["trial"] == points["imagenet1k"]["trial"]
    assert points["cars"]["samples_seen"] == 3840


def test_a_dry_run_says_the_same_and_writes_nothing(store: Store, tmp_path: Path) -> None:
    folder = mixed(tmp_path / "all")

    dry = bring_in(store, folder, dry_run=True)

    assert "would be imported" in str(dry)
    real = bring_in(store, folder)
    assert {**dry.as_dict(), "dry_run": False} == real.as_dict()


def test_the_command_exits_with_2_where_something_was_refused(tmp_path: Path) -> None:
    folder = mixed(tmp_path / "all")
    words = ["import", str(folder), "--db", str(tmp_path / "r.db"), "--json", "--dry-run"]
    words += ["--set", *(f"{key}={value}" for key, value in SAID.items())]

    done = CliRunner().invoke(app, repeated(words))

    assert done.exit_code == 2
    assert list(json.loads(done.stdout)["refused"]) == [str(folder / "torn.json")]
    assert not (tmp_path / "r.db").exists()


@pytest.mark.filterwarnings("ignore")
def test_what_the_real_tools_write_comes_in(store: Store, tmp_path: Path) -> None:
    run = real_results.train(tmp_path)
    real_results.evaluate(
        run / "checkpoints" / "epoch_2.pt", tmp_path, run / "checkpoints" / "squares.json"
    )
    said = ColumnMap(constants={"dataset": "squares", "gflops_per_sample": "0.5"})

    summary = import_tree(store, tmp_path / "logs", said, study="all")

    assert not summary.refused
    assert set(summary.unknown) == {f"a_run/checkpoints/epoch_{n}.pt" for n in (1, 2)}
    points = store.points(study="all")
    assert len({point["trial"] for point in points}) == 1
    assert {point["samples_seen"] for point in points} == {24}
    written = [json.loads(line) for line in (run / "checkpoints/results.jsonl").open()]
    values = {(point["task"], point["metric"]): point["value"] for point in points}
    assert values["validation", "clip_val_loss"] == written[-1]["clip_val_loss"]
    assert values["validation", "text_retrieval_recall@5"] == written[-1]["image_to_text_R@5"]
    told = json.loads((run / "checkpoints" / "squares.json").read_text())["metrics"]
    assert values["squares", "acc1"] == told["acc1"]
    assert ("squares", "acc5") not in values
    log = read(run, columns=said).curves[0].points
    assert list(log) == [4, 8, 12, 16, 20, 24]


def test_mutated_files_give_one_message_or_come_in_whole(store: Store, tmp_path: Path) -> None:
    """Nothing else: no other exception, no partial row, no changed row."""
    bring_in(store, mixed(tmp_path / "all"))
    before = contents(store)
    others = tmp_path / "others"
    log_folder(others / "run", result(3, 0.3), epochs=3)
    frame().to_csv(others / "study.csv", index=False)
    originals = [
        write(others, "result.json", metrics={"acc1": 0.3, "acc5": 0.4}),
        others / "study.csv",
        others / "run" / "params.txt",
        others / "run" / "checkpoints" / "results.jsonl",
    ]
    dice = random.Random(0)
    outcomes = {"refused": 0, "read": 0}
    for n in range(600):
        original = originals[n % len(originals)]
        content = original.read_bytes()
        original.write_bytes(mutated(content, dice))
        path = original if original.suffix in (".json", ".csv") else others / "run"
        try:
            record(store, read(path, columns=_columns(path)), "mutants", dry_run=True)
            outcomes["read"] += 1
        except ScalingError:
            outcomes["refused"] += 1
        original.write_bytes(content)
    assert contents(store) == before
    assert min(outcomes.values()) > 30


def _columns(path: Path) -> ColumnMap:
    return ColumnMap() if path.suffix == ".csv" else MAP


def mutated(content: bytes, dice: random.Random) -> bytes:
    """Truncated, in another encoding, or with bytes and numbers replaced."""
    at = dice.randrange(len(content))
    bad = ["NaN", "-1", "1e999", "9" * 400, '"', "\0", "\xff", "[", "null", ",", "\n", "1"]
    replaced = dice.choice(bad).encode("latin-1")
    kind = dice.randrange(5)
    if kind == 0:
        return content[:at]
    if kind == 1:
        return content.decode().encode(dice.choice(["utf-16", "utf-32", "utf-8-sig"]))
    if kind == 2:
        return content + content[at:]
    digits = [n for n, byte in enumerate(content) if chr(byte).isdigit()]
    where = dice.choice(digits) if kind == 3 else at
    return content[:where] + replaced + content[where + 1 :]


def test_killed_amid_a_folder_leaves_whole_files_and_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for n in range(150):
        pretrained = f"/logs/run{n}/checkpoints/epoch_3.pt"
        write(folder, f"{n:03d}.json", pretrained=pretrained)
    database = tmp_path / "r.db"
    words = ["import", str(folder), "--db", str(database), "--study", "all", "--set"]
    words += [f"{key}={value}" for key, value in SAID.items()]
    command = [sys.executable, "-m", "scaling", *words]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ}) as process:
        deadline = time.monotonic() + 60
        while counted(database) < 9 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    there = counted(database)

    done = CliRunner().invoke(app, repeated([*words, "--json"]))

    assert there >= 9
    assert there % len(RESULT["metrics"]) == 0  # type: ignore[arg-type]
    assert done.exit_code == 0
    summary = json.loads(done.stdout)
    assert (summary["already_there"], summary["imported"]) == (there, 450 - there)


def counted(database: Path) -> int:
    if not database.exists():
        return 0
    try:
        with Store.read(database) as store:
            return len(store.points(study="all"))
    except ScalingError:
        return 0
