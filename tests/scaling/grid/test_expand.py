import hashlib
from pathlib import Path
from typing import Any

import pytest

from scaling.cost import cost, shared
from scaling.errors import GridError
from scaling.families import FAMILIES
from scaling.grid import expand, load_plan, parse_grid
from scaling.plan import Plan, cooldowns
from scaling.trial import Cosine, Execution, Trunk

EXPERIMENTS = Path(__file__).parents[3] / "experiments"
BASE: dict[str, Any] = {
    "study": "small",
    "families": ["clip"],
    "models": ["tiny-a"],
    "samples_seen": [1024, 2048, 4096],
    "datasets": {"shapes": {"kind": "shapes"}},
    "schedules": ["const-cooldown"],
    "recipes": [{"batch_size": 64, "learning_rate": 1e-3, "warmup": "256 samples"}],
    "evaluate": ["shapes_classification"],
}


def plan_of(**changes: Any) -> Plan:
    return expand(parse_grid({**BASE, **changes}, "grid.yaml"), text="", source="grid.yaml")


def kinds(plan: Plan) -> list[str]:
    return sorted(planned.trial.kind for planned in plan.trials)


def test_cooldowns_of_all_lengths_branch_off_one_trunk() -> None:
    plan = plan_of()

    assert kinds(plan) == ["cooldown"] * 3 + ["trunk"]
    trunk = plan.trials[0]
    assert isinstance(trunk.trial, Trunk)
    branch_points = [branch.branch_point for branch in cooldowns(its.trial for its in plan.trials)]
    assert [stop.samples_seen for stop in trunk.stops] == branch_points == [832, 1664, 3264]
    assert all(not stop.tasks for stop in trunk.stops)


def test_the_cooldown_is_the_fraction_that_was_asked_for_in_whole_batches() -> None:
    plan = plan_of(schedules=[{"kind": "const-cooldown", "cooldown": 0.5}], samples_seen=[4096])

    assert [its.samples for its in plan.trials] == [2048, 2048]


def test_const_reads_the_trunk_that_cooldowns_branch_off() -> None:
    plan = plan_of(schedules=["const", "const-cooldown"])

    trunk = plan.trials[0]
    assert kinds(plan).count("trunk") == 1
    assert {stop.samples_seen for stop in trunk.stops if stop.tasks} == {1024, 2048, 4096}
    assert len(plan.cells) == 6


def test_each_cosine_is_a_trial_of_its_own() -> None:
    plan = plan_of(schedules=["cosine"])

    assert kinds(plan) == ["cosine"] * 3
    assert all(isinstance(cell.trial, Cosine) for cell in plan.cells)


def test_a_recipe_that_changes_with_length_parts_the_trunks() -> None:
    plan = plan_of(
        recipes=[
            {"samples_seen": "<= 1024", "batch_size": 32, "warmup": "256 samples"},
            {"batch_size": 64, "warmup": "256 samples"},
        ]
    )

    assert kinds(plan).count("trunk") == 2


def test_a_list_of_learning_rates_is_a_sweep() -> None:
    plan = plan_of(
        schedules=["cosine"],
        recipes=[{"batch_size": 64, "learning_rate": [1e-3, 2e-3], "warmup": 0}],
    )

    assert len(plan.cells) == 6
    assert {cell.trial.recipe.learning_rate for cell in plan.cells} == {1e-3, 2e-3}


def test_the_first_recipe_that_matches_wins() -> None:
    plan = plan_of(
        schedules=["cosine"],
        recipes=[
            {"samples_seen": "> 2K", "batch_size": 128, "warmup": 0},
            {"batch_size": 64, "warmup": 0},
        ],
    )

    batch_sizes = {cell.samples_seen: cell.trial.recipe.batch_size for cell in plan.cells}
    assert batch_sizes == {1024: 64, 2048: 128, 4096: 128}


def test_excluded_cells_are_not_trained() -> None:
    plan = plan_of(exclude=[{"models": "tiny-a", "samples_seen": "> 1024"}])

    assert [cell.samples_seen for cell in plan.cells] == [1024]


def test_a_model_that_one_family_lacks_can_be_excluded_there() -> None:
    models = {"families": ["clip", "mammut"], "models": ["tiny-a", "ViT-S-32-alt"]}

    with pytest.raises(GridError, match="unknown model of mammut 'ViT-S-32-alt'"):
        plan_of(**models)
    plan = plan_of(**models, exclude=[{"families": "mammut", "models": "ViT-S-32-alt"}])

    assert {(cell.family, cell.model) for cell in plan.cells} == {
        ("clip", "tiny-a"),
        ("clip", "ViT-S-32-alt"),
        ("mammut", "tiny-a"),
    }


def test_lengths_are_rounded_to_whole_batches_only_if_the_grid_says_so() -> None:
    plan = plan_of(samples_seen=[1000], round_to_batch=True)

    assert [cell.samples_seen for cell in plan.cells] == [1024]


def test_growing_reordering_or_renaming_a_grid_keeps_the_trials_it_had() -> None:
    before = {its.trial.id for its in plan_of().trials}
    grown = {
        its.trial.id
        for its in plan_of(
            study="other", families=["mammut", "clip"], samples_seen=[8192, 4096, 2048, 1024]
        ).trials
    }

    assert before < grown


def test_warm_up_in_percent_follows_the_length_and_so_parts_the_trunks() -> None:
    plan = plan_of(recipes=[{"batch_size": 64, "warmup": "25%"}])

    assert [cell.trial.recipe.warmup_samples for cell in plan.cells] == [256, 512, 1024]
    assert kinds(plan).count("trunk") == 3


def test_sharing_a_trunk_saves_what_the_formula_says() -> None:
    """Lengths D with cooldown fraction f cost (1 - f) max(D) + f sum(D) instead of sum(D)."""
    plan = plan_of(
        samples_seen=[6400, 12800], schedules=[{"kind": "const-cooldown", "cooldown": 0.2}]
    )

    assert cost(plan.trials).samples == 0.8 * 12800 + 0.2 * 19200
    assert shared(plan).saved == pytest.approx(1 - 14080 / 19200)


def test_a_task_that_a_family_cannot_do_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    clip = FAMILIES.get("clip")
    monkeypatch.setattr(type(clip), "abilities", frozenset({"captions"}))

    with pytest.raises(GridError) as caught:
        plan_of(evaluate=["shapes_retrieval"], families=["clip", "mammut"])

    (problem,) = caught.value.problems
    assert problem.startswith("evaluate.0: shapes_retrieval needs features, which clip does not")


def test_how_trials_are_computed_is_written_by_model_and_changes_no_identity() -> None:
    plain = plan_of(models=["tiny-a", "tiny-b"])
    execution = {"tiny-b": {"micro_batch_size": "auto"}, "default": {"compile": True}}

    planned = plan_of(models=["tiny-a", "tiny-b"], execution=execution)

    assert [its.trial.id for its in planned.trials] == [its.trial.id for its in plain.trials]
    assert {its.trial.model: its.execution for its in planned.trials} == {
        "tiny-a": Execution(compile=True),
        "tiny-b": Execution(micro_batch_size="auto"),
    }


def test_an_optimizer_and_its_options_reach_the_recipe() -> None:
    recipe = {
        **BASE["recipes"][0],
        "optimizer": "lion",
        "optimizer_options": {"betas": [0.9, 0.98]},
    }

    (planned,) = plan_of(recipes=[recipe], schedules=["const"]).trials

    assert planned.trial.recipe.optimizer == "lion"
    assert planned.trial.recipe.optimizer_options == {"betas": [0.9, 0.98]}


@pytest.mark.parametrize(
    ("name", "trials", "sha256"),
    [("quickstart", 64, "1fad7d6f8644"), ("quickstart_reduced", 24, "4e547b3df799")],
)
def test_identities_of_the_shipped_grids_stay_what_they_were(
    name: str, trials: int, sha256: str
) -> None:
    """Whoever ran them has a store with these; an id that changes is trained again."""
    plan = load_plan(EXPERIMENTS / f"{name}.yaml")
    ids = "\n".join(planned.trial.id for planned in plan.trials)

    assert len(plan.trials) == trials
    assert hashlib.sha256(ids.encode()).hexdigest()[:12] == sha256


def test_a_task_of_some_families_is_measured_for_their_cells_alone() -> None:
    own = {"task": "shapes_generative_classification", "families": ["mammut"]}
    plan = plan_of(families=["clip", "mammut"], evaluate=["shapes_retrieval", own])

    tasks = {
        planned.trial.family: planned.stops[-1].tasks
        for planned in plan.trials
        if planned.trial.kind == "cooldown"
    }
    assert tasks == {
        "clip": ("shapes_retrieval",),
        "mammut": ("shapes_retrieval", "shapes_generative_classification"),
    }


def test_a_task_may_be_for_long_trials_only() -> None:
    long = {"task": "shapes_classification", "samples_seen": ">= 4096"}
    plan = plan_of(evaluate=["shapes_retrieval", long], schedules=["const"])

    (trunk,) = plan.trials
    assert [len(stop.tasks) for stop in trunk.stops] == [1, 1, 2]


def test_cells_that_no_task_is_for_are_named() -> None:
    with pytest.raises(GridError) as caught:
        plan_of(
            families=["clip", "mammut"],
            evaluate=[{"task": "shapes_retrieval", "families": "clip"}],
        )

    assert len(caught.value.problems) == 3
    assert caught.value.problems[0].startswith("evaluate: has no task for mammut tiny-a at 1,024")


def test_a_suite_stands_for_its_members_each_once() -> None:
    plan = plan_of(
        families=["clip", "mammut"],
        evaluate=[
            "shapes_classification",
            "objectnet",
            {"task": "imagenet_distribution_shift", "families": ["clip"]},
        ],
        schedules=["cosine"],
    )

    everybody = ("shapes_classification", "objectnet")
    shift = ("imagenet_v2", "imagenet_r", "imagenet_sketch", "imagenet_a")
    assert {
        (its.trial.family, stop.tasks) for its in plan.trials for stop in its.stops if stop.tasks
    } == {("clip", everybody + shift), ("mammut", everybody)}
    assert plan.evaluation.tasks.keys() == {*everybody, *shift}


def test_suites_with_common_members_measure_them_once() -> None:
    plan = plan_of(
        evaluate=["imagenet_distribution_shift", "datacomp_classification"], schedules=["cosine"]
    )

    tasks = plan.trials[0].stops[-1].tasks
    assert len(tasks) == len(set(tasks)) == 35


def test_a_suite_that_a_family_cannot_do_is_one_problem_at_its_place() -> None:
    with pytest.raises(GridError) as caught:
        plan_of(families=["cap"], evaluate=["shapes_losses", "datacomp_classification"])

    (problem,) = caught.value.problems
    assert problem.startswith(
        "evaluate.1: datacomp_classification needs features, which cap does not give"
    )


@pytest.mark.parametrize(
    ("evaluate", "message"),
    [
        (["imagenet_distribution"], "evaluate.0: unknown task or suite 'imagenet_distribution'; "),
        ([{"task": "shapes_retrieval", "familie": "clip"}], "evaluate.0.familie: unknown key"),
        ([{"task": "shapes_retrieva"}], "did you mean 'shapes_retrieval'?"),
        ([{"task": "shapes_retrieval", "models": "tiny-z"}], "evaluate.0.models: unknown model"),
        (["shapes_retrieval", "shapes_retrieval"], "evaluate: listed twice: shapes_retrieval"),
    ],
)
def test_what_is_wrong_with_a_rule_of_tasks_is_said(evaluate: list[Any], message: str) -> None:
    with pytest.raises(GridError) as caught:
        plan_of(evaluate=evaluate)

    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ({"kind": "zeroshot_clasification"}, "did you mean 'zeroshot_classification'?"),
        ({"set": {"kind": "shapes"}}, "give it a kind"),
        (
            {"kind": "losses", "set": {"kind": "shapes", "content": "classes", "count": 100}},
            "needs a set with captions, and this one has labels",
        ),
        (
            {"kind": "losses", "data": {"kind": "shapes"}, "samples": "1x"},
            "tasks.own.samples: '1x' is not a count",
        ),
        (
            {"kind": "losses", "data": {"kind": "shapes"}, "samples": 100},
            "100 samples are less than a batch of 256",
        ),
        ({"kind": "losses", "data": {"kind": "shapes", "sed": 1}}, "did you mean 'seed'?"),
    ],
)
def test_what_is_wrong_with_a_grids_own_task_is_said(task: dict[str, Any], message: str) -> None:
    with pytest.raises(GridError) as caught:
        plan_of(tasks={"own": task}, evaluate=["own"])

    assert "tasks.own" in str(caught.value)
    assert message in str(caught.value)
