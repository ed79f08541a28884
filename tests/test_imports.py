"""What imports what: the boundaries that `docs/architecture.md` promises."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "ray", "scipy", "pandas", "matplotlib", "sqlalchemy")
GRID = Path(__file__).parents[1] / "experiments" / "quickstart.yaml"


def imported_by(statement: str, cwd: Path) -> set[str]:
    """The top-level modules that a fresh interpreter holds after `statement`."""
    program = (
        f"{statement}\nimport sys\nprint()\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=cwd, check=True
    )
    return set(done.stdout.splitlines()[-1].split())


def of_command(*words: str) -> str:
    return (
        "from scaling.cli import main\n"
        f"try: main({list(words)!r})\n"
        "except SystemExit as left: assert not left.code, left.code"
    )


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["run", "--help"],
        ["fit", "--help"],
        ["checkpoints", "--help"],
        ["eval", "--help"],
    ],
    ids=" ".join,
)
def test_help_imports_nothing_heavy(words: list[str], tmp_path: Path) -> None:
    assert not imported_by(of_command(*words), tmp_path) & set(HEAVY)


def test_plan_imports_neither_torch_nor_ray_nor_pandas(tmp_path: Path) -> None:
    there = imported_by(of_command("plan", str(GRID)), tmp_path)

    assert not there & {"torch", "ray", "pandas", "scipy", "matplotlib"}


def test_models_imports_nothing_heavy_and_takes_less_than_a_second(tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime

    there = imported_by(of_command("models", "--json"), tmp_path)

    # Of a core, so that what else this machine does is not counted.
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 1
    assert not there & {*HEAVY, "open_clip", "timm"}


def test_a_step_needs_torch_and_open_clip_and_no_more_of_what_runs_grids(tmp_path: Path) -> None:
    there = imported_by(
        "from scaling.families import FAMILIES\n"
        "from scaling.train.session import Session\n"
        "for name in FAMILIES.names(): FAMILIES.get(name).build('tiny-a')",
        tmp_path,
    )

    assert "torch" in there
    # A machine for benchmarks may have none of these.
    assert not there & {"ray", "sqlalchemy", "pandas", "pydantic", "scipy", "webdataset"}


def test_a_worker_starts_without_the_store_and_the_displays(tmp_path: Path) -> None:
    there = imported_by("import scaling.orchestrator.ray_slot", tmp_path)

    assert not there & {*HEAVY, "rich"}


def test_fit_and_plot_import_neither_torch_nor_ray(tmp_path: Path) -> None:
    published = GRID.parent / "published"
    subprocess.run(
        [sys.executable, "-m", "scaling", "import", str(published)], cwd=tmp_path, check=True
    )
    series = ["--compare", "clip", "mammut", "--task", "imagenet1k", "--schedule", "cosine"]

    for command in (["fit", "--refits", "100"], ["plot", "-o", "x.pdf"]):
        there = imported_by(of_command(*command, *series), tmp_path)
        assert not there & {"torch", "ray", "open_clip"}


def test_fitting_imports_nothing_of_scaling_torch_ray_or_sqlalchemy(tmp_path: Path) -> None:
    there = imported_by("import fitting, fitting.plots, fitting.figures", tmp_path)

    assert not there & {"scaling", "torch", "ray", "sqlalchemy"}
