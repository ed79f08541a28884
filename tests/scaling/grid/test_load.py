from pathlib import Path

import pytest

from scaling.errors import GridError
from scaling.grid import load_plan
from scaling.plan import Plan

GOOD = """
study: small
families: [clip, mammut]
models: [tiny-a, tiny-b]
samples_seen: [2048, 4096]
datasets:
  shapes: {kind: shapes}
schedules: [const-cooldown]
recipes:
  - {batch_size: 64, learning_rate: 1e-3, warmup: 512 samples}
evaluate: [shapes_classification]
"""


def plan_of(tmp_path: Path, text: str) -> Plan:
    path = tmp_path / "grid.yaml"
    path.write_text(text)
    return load_plan(path)


def problems_of(tmp_path: Path, text: str) -> tuple[str, ...]:
    with pytest.raises(GridError) as caught:
        plan_of(tmp_path, text)
    return caught.value.problems


def test_a_good_grid_becomes_a_plan(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, GOOD)

    assert plan.study == "small"
    assert len(plan.cells) == 2 * 2 * 2
    assert plan.grid_text == GOOD


def test_every_problem_is_reported_at_once_with_its_key_and_the_nearest_name(
    tmp_path: Path,
) -> None:
    text = (
        GOOD.replace("mammut", "mamut")
        .replace("4096", "64X")
        .replace("evaluate: [shapes_classification]", "evaluat: [shapes_clasification]")
        .replace("learning_rate", "learning_rat")
        .replace("const-cooldown", "const-cooldwn")
        .replace("kind: shapes", "kind: shape")
    )

    problems = "\n".join(problems_of(tmp_path, text))

    assert "families.1: unknown family 'mamut'; did you mean 'mammut'?" in problems
    assert "samples_seen.1: '64X' is not a count" in problems
    assert "evaluat: unknown key; did you mean 'evaluate'?" in problems
    assert "recipes.0.learning_rat: unknown key; did you mean 'learning_rate'?" in problems
    assert "schedules.0.kind: 'const-cooldwn'" in problems
    assert "datasets.shapes: unknown dataset kind 'shape'; did you mean 'shapes'?" in problems
    assert "evaluate: is required" in problems


@pytest.mark.parametrize(
    ("written", "instead", "problem"),
    [
        ("models: [tiny-a,", "models: [tiny-z,", "models.0: unknown model of clip 'tiny-z'"),
        ("tiny-b]", "tiny-a]", "models: listed twice: tiny-a"),
        ("[2048, 4096]", "[]", "samples_seen: "),
        ("[2048, 4096]", "[2050]", "2,050 is not a whole number of batches of 64"),
        ("[2048, 4096]", "[2050]", "the nearest are 2,048 or 2,112"),
        ("512 samples", "64 steps", "recipes.0.warmup: 64 steps is 4,096 samples"),
        ("512 samples", "soon", "recipes.0.warmup.0: 'soon' is not a warm-up"),
        ("512 samples", "100%", "'100%' is not a warm-up"),
        ("1e-3", "-1e-3", "recipes.0.learning_rate.0: '-1e-3': input should be greater than 0"),
        ("{batch_size", "{models: tiny-q, batch_size", "recipes.0.models: unknown model"),
        ("[const-cooldown]", "[{kind: cosine, cooldown: 0.1}]", "belong to const-cooldown"),
        ("[const-cooldown]", "[cosine, cosine]", "two schedules are called 'cosine'"),
        ("[const-cooldown]", "[{kind: const-cooldown, shape: square}]", "'square'"),
        ("{kind: shapes}", "{kind: shapes, noise: 1}", "datasets.shapes.noise: unknown key"),
        ("{kind: shapes}", "3", "datasets.shapes: give it a kind"),
        ("study: small", "study: ../up", "study: "),
        ("study: small", "study: small\nheld_out: later", "held_out: 'later' is not a held-out"),
        ("study: small", "study: small\nresources: {tiny-a: {gpus: 1.5}}", "neither a fraction"),
        (
            "study: small",
            "study: small\nresources: {tiny-a: {processes: 2}}",
            "'processes: 2' is for CPUs: write 'gpus: 0' beside it",
        ),
        ("study: small", "study: small\nresources: {tiny-x: {gpus: 1}}", "resources.tiny-x: "),
        ("study: small", "study: small\nexecution: {tiny-x: {}}", "execution.tiny-x: "),
        ("study: small", "study: small\nexecution: {tiny-a: {compil: 1}}", "'compile'?"),
        ("study: small", "study: small\nexecution: {tiny-a: {micro_batch_size: 0}}", "rows nor"),
        (
            "study: small",
            "study: small\nresources: {default: {gpus: 2}}"
            "\nexecution: {tiny-b: {micro_batch_size: auto}}",
            "auto is for one GPU, and tiny-b takes 2; write a number",
        ),
        ("{batch_size", "{optimizer: lionn, batch_size", "did you mean 'lion'?"),
        ("{batch_size", "{optimizer: lion, beta1: 0.8, batch_size", "'beta1': for adamw only"),
        ("{batch_size", "{optimizer_options: {eps: 1}, batch_size", "AdamW has beta1, beta2"),
        ("{batch_size", "{patch_dropout: 1, batch_size", "recipes.0.patch_dropout: 1"),
        (
            "{batch_size",
            "{optimizer: lion, optimizer_options: {betos: [0.9, 0.9]}, batch_size",
            "not options of lion: ",
        ),
        ("study: small", "study: small\nseeds: [-1]", "seeds.0: -1"),
        ("study: small", "study: small\nexclude: [{families: [clip, mammut]}]", "no cell at all"),
        ("study: small", "study: small\nstudy: twice", "line 3, column 1: not valid YAML"),
        ("study: small", "study: [", "not valid YAML"),
        ("study: small", "study: !!python/object:os.system {}", "not valid YAML"),
    ],
)
def test_each_mistake_is_named(tmp_path: Path, written: str, instead: str, problem: str) -> None:
    assert written in GOOD

    problems = problems_of(tmp_path, GOOD.replace(written, instead))

    assert problem in "\n".join(problems)


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"", "a grid is a mapping"), (b"- 1\n", "a grid is a mapping"), (b"\xff\xfe\x00", "UTF-8")],
)
def test_what_is_no_grid_says_so(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "grid.yaml"
    path.write_bytes(content)

    with pytest.raises(GridError, match=problem):
        load_plan(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(GridError, match=r"nowhere\.yaml: 1 problem"):
        load_plan(tmp_path / "nowhere.yaml")
