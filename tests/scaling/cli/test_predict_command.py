"""`scaling predict` on the published table."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from scaling.cli.import_ import import_
from scaling.cli.predict import predict
from scaling.errors import ScalingError

PUBLISHED = Path(__file__).parents[3] / "experiments" / "published"
ON_IMAGENET = ["--dataset", "datacomp_1b", "--schedule", "cosine", "--task", "imagenet1k"]

Run = Callable[..., str]


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "published.db"
    import_(PUBLISHED, db=path)
    return path


@pytest.fixture
def run(db: Path) -> Run:
    app = typer.Typer()
    app.command()(predict)

    def answer(*words: str) -> str:
        done = CliRunner().invoke(app, [*words, *ON_IMAGENET, "--db", str(db)])
        if done.exception is not None:
            raise done.exception
        return done.stdout

    return answer


L_14 = ("--family", "mammut", "--model", "ViT-L-14", "--samples-seen", "12.8B", "--refits", "100")


def test_json_has_both_laws_with_the_interval_of_a_new_trial(run: Run) -> None:
    words = (*L_14, "--dataset-size", "1.4B", "--max-compute", "1e12", "--json")
    (prediction,) = json.loads(run(*words))["predictions"]

    assert prediction["compute_gflops"] == pytest.approx(2.593e12, rel=1e-3)
    assert prediction["epochs"] == pytest.approx(9.14, abs=0.01)
    assert "beyond 4 epochs" in prediction["warnings"][0]
    assert prediction["extrapolation"]["compute"] == pytest.approx(4.17, abs=0.01)
    by_size, by_compute = prediction["forecasts"]
    assert by_size["low"] < 1 - 0.8034 < by_size["high"]
    assert by_compute["error"] == pytest.approx(0.18, abs=0.02)


def test_the_table_shows_intervals_extrapolation_and_the_warning(run: Run) -> None:
    shown = " ".join(run(*L_14, "--dataset-size", "1.4B").split())

    for words in (
        "mammut ViT-L-14 on 12.8B samples: 2.59e+12 GFLOPs",
        "warning: each unique sample is seen 9.1 times",
        "law of size and samples",
        "law of compute (frontier)",
        "relative to the largest fitted: compute 1.8x, samples seen 4.2x",
    ):
        assert words in shown


def test_the_size_of_the_training_set_is_taken_from_measurements_that_know_it(
    db: Path, run: Run
) -> None:
    assert json.loads(run(*L_14, "--json"))["predictions"][0]["epochs"] is None
    with closing(sqlite3.connect(db)) as connection, connection:
        connection.execute("UPDATE measurement SET epochs = samples_seen / 1.4e9")
    try:
        (prediction,) = json.loads(run(*L_14, "--json"))["predictions"]
    finally:
        with closing(sqlite3.connect(db)) as connection, connection:
            connection.execute("UPDATE measurement SET epochs = NULL")

    assert prediction["epochs"] == pytest.approx(9.14, abs=0.01)


def test_a_model_that_was_never_measured_is_costed_by_its_profile(run: Run) -> None:
    words = ("--family", "clip", "--model", "tiny-a", "--samples-seen", "1B", "--json")
    (prediction,) = json.loads(run(*words, "--refits", "100"))["predictions"]

    assert prediction["extrapolation"]["gflops_per_sample"] > 10
    assert prediction["measured"] is None


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"--family": "mamut"}, "unknown family 'mamut'; did you mean 'mammut'"),
        ({"--model": "ViT-L-15"}, "unknown model of mammut 'ViT-L-15'; did you mean 'ViT-L-16'"),
        ({"--samples-seen": "12.8X"}, "--samples-seen: '12.8X' is not a count"),
        ({"--dataset-size": "0"}, "--dataset-size: '0' is not a count"),
        ({"--max-compute": "1e7"}, "nothing can be predicted"),
    ],
    ids=str,
)
def test_bad_input_is_one_message(run: Run, changed: dict[str, str], message: str) -> None:
    words = dict(zip(L_14[::2], L_14[1::2], strict=True)) | changed

    with pytest.raises(ScalingError, match=message):
        run(*(word for pair in words.items() for word in pair))


def test_neither_torch_nor_ray_is_imported(db: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from scaling.cli.predict import predict; "
        "predict('clip', 'ViT-L-14', '12.8B', task='imagenet1k', refits=100, "
        f"db=Path({str(db)!r})); assert not {{'torch', 'ray'}} & set(sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)

    assert done.returncode == 0, done.stderr.decode()
