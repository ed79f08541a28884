"""WinoGAViL's layout with real pictures, and its score against one by sets."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from small_networks import CONFIG, WordsAndColours
from small_sets import picture

from scaling.errors import DataError
from scaling.evals._declared import Task
from scaling.evals._evaluation import Evaluation
from scaling.evals._subject import Subject
from scaling.evals.image_association import jaccard, prompt_of
from scaling.evaluation_sets import Association

NAMES = [f"tea {n}" for n in range(14)]
TASK = Task.parse(
    "mine", {"kind": "image_association", "set": {"kind": "associations", "folder": "game"}}
)
RNG = np.random.default_rng(0)
GAMES = [
    (list(RNG.permutation(NAMES)[:count]), cue, int(RNG.integers(1, count)))
    for cue, count in zip(
        ["Owl", "forest", "iron", "game", "unit", "sky"], [5, 6, 10, 12, 5, 10], strict=True
    )
]


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    folder = tmp_path / "game"
    (folder / "winogavil_images").mkdir(parents=True)
    for n, name in enumerate(NAMES):
        (folder / "winogavil_images" / f"{name}.jpg").write_bytes(picture(n))
    with (folder / "winogavil_dataset.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["", "candidates", "cue", "associations", "num_candidates"])
        for n, (names, cue, chosen) in enumerate(GAMES):
            writer.writerow([n, json.dumps(names), cue, json.dumps(names[:chosen]), len(names)])
    return tmp_path


@pytest.fixture
def network() -> torch.nn.Module:
    return WordsAndColours()


def subject_of(network: torch.nn.Module, sets: Path, **evaluation: str) -> Subject:
    return Subject(network, CONFIG, Evaluation(sets=sets, **evaluation))  # type: ignore[arg-type]


def slow_scores(subject: Subject) -> dict[str, float]:
    """By sets and sorting, picture by picture."""
    examples = subject.examples(TASK.choices().picture_set)  # type: ignore[attr-defined]
    (batch,) = subject.batches(examples)
    # In the order in which the table first names pictures.
    order = list(dict.fromkeys(name for names, _, _ in GAMES for name in names))
    vectors = dict(zip(order, subject.image_features(batch.images), strict=True))
    found: dict[int, list[float]] = {}
    for names, cue, chosen in GAMES:
        article = "An" if cue[0].lower() in "aeiou" else "A"
        (text,) = subject.text_features([f"{article} {cue.lower()}"])
        ranked = sorted(names, key=lambda name, text=text: -float(vectors[name] @ text))
        predicted, true = set(ranked[:chosen]), set(names[:chosen])
        found.setdefault(len(names), []).append(len(predicted & true) / len(predicted | true))
    few, many = found[5] + found[6], found[10] + found[12]
    groups = {**{str(n): its for n, its in found.items()}, "5-6": few, "10-12": many}
    means = {f"jaccard_score_{name}": float(np.mean(its)) for name, its in groups.items()}
    return means | {"avg_jaccard_score": float(np.mean(few + many))}


def test_scores_are_those_by_sets(sets: Path, network: torch.nn.Module) -> None:
    subject = subject_of(network, sets)

    found = TASK.of_kind.measure(TASK.choices(), subject)

    assert tuple(found) == TASK.metrics
    assert dict(found) == pytest.approx(slow_scores(subject))
    assert 0 < found["avg_jaccard_score"] < 1


def test_equal_scores_choose_the_first() -> None:
    association = Association("owl", (3, 1, 2, 0), (False, True, False, True))

    assert jaccard(association, np.zeros(4, np.float32)) == pytest.approx(1 / 3)
    assert jaccard(association, np.array([0, 1, 0, 1], np.float32)) == 1


def test_prompts_have_an_article() -> None:
    assert [prompt_of(cue) for cue in ("Owl", "Tea party")] == ["An owl", "A tea party"]


def test_a_word_with_a_broken_picture_is_left_out(sets: Path, network: torch.nn.Module) -> None:
    (sets / "game" / "winogavil_images" / f"{GAMES[3][0][0]}.jpg").write_bytes(b"\xff\xd8 no")
    without = [n for n, (names, _, _) in enumerate(GAMES) if GAMES[3][0][0] not in names]

    with pytest.raises(DataError, match=r"the picture does not decode.*broken_images: skip"):
        TASK.of_kind.measure(TASK.choices(), subject_of(network, sets))
    subject = subject_of(network, sets, broken="skip")
    found = TASK.of_kind.measure(TASK.choices(), subject)

    assert "jaccard_score_12" not in found
    assert 0 < len(without) < len(GAMES)
    assert subject.asked[0].skipped == 1


def change(row: int, column: int, text: str) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        path = folder / "winogavil_dataset.csv"
        with path.open(newline="") as file:
            rows = list(csv.reader(file))
        rows[row][column] = text
        with path.open("w", newline="") as file:
            csv.writer(file).writerows(rows)

    return apply


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "winogavil_dataset.csv").unlink(), "cannot be read"),
        (change(0, 2, "word"), "has no column cue"),
        (change(2, 1, "tea 1, tea 2"), "row 2: candidates: 'tea 1, tea 2' is not a list of names"),
        (change(2, 3, '["nobody"]'), "row 2: none of its associations is among its candidates"),
        (change(2, 2, ""), "row 2: has no cue"),
        (
            lambda folder: (folder / "winogavil_images" / f"{GAMES[0][0][0]}.jpg").unlink(),
            f"the picture of '{GAMES[0][0][0]}'.jpg is missing",
        ),
    ],
)
def test_what_is_wrong_with_files_is_said_before_anything_runs(
    sets: Path, spoil: Callable[[Path], object], message: str
) -> None:
    TASK.check(sets)
    spoil(sets / "game")

    with pytest.raises(DataError, match=message):
        TASK.check(sets)
