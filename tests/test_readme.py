"""What the README shows must work."""

import re
from pathlib import Path

from scaling.cli.app import app
from scaling.grid import load_plan

README = Path(__file__).parents[1] / "README.md"


def test_the_grid_in_the_readme_is_a_good_one(tmp_path: Path) -> None:
    (grid,) = re.findall(r"```yaml\n(.*?)```", README.read_text(), flags=re.S)
    path = tmp_path / "grid.yaml"
    path.write_text(grid)

    plan = load_plan(path)

    assert {cell.family for cell in plan.cells} == {"clip", "mammut"}
    assert {planned.trial.kind for planned in plan.trials} == {"cosine", "trunk", "cooldown"}


def test_the_readme_names_every_command() -> None:
    named = set(re.findall(r"`scaling ([a-z]+)", README.read_text()))

    assert {command.name for command in app.registered_commands} <= named


def test_every_file_that_the_documents_link_to_is_there() -> None:
    for page in (README, *README.parent.glob("docs/*.md"), *README.parent.glob("benchmarks/*.md")):
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_every_test_that_the_documents_name_is_there() -> None:
    written = "\n".join(path.read_text() for path in Path(__file__).parent.rglob("test_*.py"))
    there = set(re.findall(r"^def (test_\w+)\(", written, flags=re.M))
    for page in README.parent.glob("docs/*.md"):
        named = set(re.findall(r"`(test_\w+)`", page.read_text()))
        assert named <= there, f"{page.name}: {named - there}"
