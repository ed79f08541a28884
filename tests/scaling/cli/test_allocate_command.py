"""`scaling allocate` on the published table."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from scaling.cli.allocate import allocate
from scaling.cli.import_ import import_
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
    app.command()(allocate)

    def answer(*words: str) -> str:
        done = CliRunner().invoke(app, [*words, *ON_IMAGENET, "--db", str(db)])
        if done.exception is not None:
            raise done.exception
        return done.stdout

    return answer


def test_json_has_every_method_with_its_interval_and_the_nearest_model(run: Run) -> None:
    words = ("--compute", "1e10", "--compute", "2.6e12", "--family", "clip", "--refits", "100")
    report = json.loads(run(*words, "--max-compute", "1e12", "--json"))

    (series,) = report["series"]
    assert series["family"] == "clip"
    assert series["lines"]["frontier line"]["n_points"] == 40
    inside, beyond = series["allocations"]
    assert beyond["extrapolation"] == pytest.approx(5.0, abs=0.1)
    assert beyond["disagreement"] > inside["disagreement"] > 1
    for optimum in (*inside["optima"], *beyond["optima"]):
        assert optimum["low"] < optimum["samples_seen"] < optimum["high"]
        assert optimum["nearest_model"].startswith("ViT-")
    assert beyond["optima"][0]["samples_seen"] == pytest.approx(2.65e10, rel=0.01)


def test_the_table_shows_methods_and_how_much_they_differ(run: Run) -> None:
    shown = run("--compute", "2.6e12", "--refits", "100", "--max-compute", "1e12")

    for words in ("frontier line", "isoFLOP", "law of size", "differ by a factor of", "ViT-H-14"):
        assert words in shown
    assert all(f"{family} · imagenet1k acc1" in shown for family in ("clip", "mammut", "coca"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--compute", "-1"], "--compute -1: give positive GFLOPs"),
        (["--compute", "nan"], "--compute nan: give positive GFLOPs"),
        (["--compute", "1e12", "--family", "mamut"], "did you mean 'mammut'"),
        (["--compute", "1e12", "--max-compute", "1e7"], "no series can be allocated"),
    ],
)
def test_bad_input_is_one_message(run: Run, words: list[str], message: str) -> None:
    with pytest.raises(ScalingError, match=message):
        run(*words)


def test_neither_torch_nor_ray_is_imported(db: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from scaling.cli.allocate import allocate; "
        f"allocate([1e12], task='imagenet1k', family='clip', refits=100, db=Path({str(db)!r})); "
        "assert not {'torch', 'ray'} & set(sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)

    assert done.returncode == 0, done.stderr.decode()
