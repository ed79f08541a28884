"""A trial's steps are those of open_clip's training program: `open_clip_train.main`, as it is."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from open_clip_trainer import Batch, OpenClipTrainer, Reported, optimizer_flags
from small_trials import trunk

from scaling.datasets import DATASETS
from scaling.families import FAMILIES
from scaling.families._images import to_inputs
from scaling.families._tokenizers import tokenize
from scaling.train.session import Session
from scaling.trial import Cooldown, Cosine, Trial

CPU = torch.device("cpu")
STEPS, WARMUP = 40, 8
BATCH_SIZE = 32
SAMPLES = STEPS * BATCH_SIZE
COOLDOWN_SAMPLES = SAMPLES // 4
RECIPE = {"learning_rate": 1e-3, "warmup_samples": WARMUP * BATCH_SIZE}


def batches_of(trial: Trial) -> list[Batch]:
    """What a worker gives its session, step by step."""
    config = FAMILIES.get(trial.family).models[trial.model]
    dataset = DATASETS.get(trial.data.kind)
    stream = dataset.open(dataset.options.model_validate(trial.data.options), trial.seed)
    samples = [
        stream.read(n, BATCH_SIZE, config.image_size) for n in range(0, SAMPLES, BATCH_SIZE)
    ]
    return [
        (to_inputs(one.images, CPU), torch.from_numpy(tokenize(one.captions, config)))
        for one in samples
    ]


def losses_and_rates(
    session: Session, batches: Sequence[Batch]
) -> tuple[list[float], list[float]]:
    losses, rates = [], []
    for images, tokens in batches:
        session.step(images, tokens)
        losses.append(session.loss.item())
        rates.append(session.optimizer.param_groups[0]["lr"])
    return losses, rates


def assert_equal(
    losses: list[float], rates: list[float], session: Session, theirs: Reported
) -> None:
    assert len(losses) == STEPS
    assert losses == pytest.approx(theirs.losses, rel=1e-5)
    assert rates == pytest.approx(theirs.learning_rates, rel=1e-12)
    # Together: single weights without a true gradient (biases of keys) follow rounding.
    ours = session.network.state_dict()
    assert ours.keys() == theirs.weights.keys()
    apart = torch.stack([(ours[name] - theirs.weights[name]).norm() for name in ours]).norm()
    size = torch.stack([weight.norm() for weight in theirs.weights.values()]).norm()
    assert apart < 1e-5 * size


@pytest.fixture
def trainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OpenClipTrainer:
    return OpenClipTrainer(tmp_path, monkeypatch)


@pytest.mark.parametrize(("family", "flags"), [("clip", ()), ("siglip", ("--siglip",))])
def test_every_loss_of_a_cosine_trial_is_open_clips(
    trainer: OpenClipTrainer, family: str, flags: tuple[str, ...]
) -> None:
    trial = Cosine(**trunk(family, "tiny-a", **RECIPE).__dict__, samples_seen=SAMPLES)
    session, batches = Session(trial, CPU), batches_of(trial)

    theirs = trainer.train(
        session.network.state_dict(),
        batches,
        *optimizer_flags(trial.recipe),
        *("--epochs", "1", "--lr-scheduler", "cosine", *flags),
    )
    losses, rates = losses_and_rates(session, batches)

    assert_equal(losses, rates, session, theirs)
    assert losses[-1] < losses[0] - 0.1
    assert rates[WARMUP] == max(rates) == trial.recipe.learning_rate
    assert all(later < earlier for earlier, later in pairwise(rates[WARMUP:]))


def test_every_loss_of_a_trunk_and_its_cooldown_is_open_clips(trainer: OpenClipTrainer) -> None:
    start = trunk("clip", "tiny-b", **RECIPE)
    branch_point = SAMPLES - COOLDOWN_SAMPLES
    cooldown = Cooldown(**start.__dict__, branch_point=branch_point, samples_seen=SAMPLES)
    session, batches = Session(start, CPU), batches_of(start)

    theirs = trainer.train(
        session.network.state_dict(),
        batches,
        *optimizer_flags(start.recipe),
        *("--epochs", "4", "--lr-scheduler", "const-cooldown", "--epochs-cooldown", "1"),
        model="tiny-b",
    )
    before = losses_and_rates(session, batches[: branch_point // BATCH_SIZE])
    branched = Session(cooldown, CPU)
    branched.restore(session.state())
    after = losses_and_rates(branched, batches[branch_point // BATCH_SIZE :])

    assert_equal(before[0] + after[0], before[1] + after[1], branched, theirs)
