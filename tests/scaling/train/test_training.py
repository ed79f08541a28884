import copy
import math
import pickle
from collections.abc import Callable

import pytest
import torch
from open_clip.loss import ClipLoss
from small_trials import only, stops, trunk

from scaling.families import FAMILIES
from scaling.train import Diverged
from scaling.train.session import Session
from scaling.trial import Checkpoint, Cooldown, Cosine, CurvePoint, Event, Measurement, Throughput

Run = Callable[..., list[Event]]
CPU = torch.device("cpu")


def batch(count: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(count, 3, 16, 16, generator=generator)
    return images, torch.randint(1, 40, (count, 16), generator=generator)


@pytest.mark.parametrize("family", FAMILIES.names())
def test_training_learns(run: Run, family: str) -> None:
    compares = "features" in FAMILIES.get(family).abilities
    task = "shapes_retrieval" if compares else "shapes_generative_classification"
    metric, chance = ("image_retrieval_recall@5", 0.01) if compares else ("acc5", 0.05)

    events = run(trunk(family, "tiny-b"), stops(6144, task=task))

    losses = [event.loss for event in only(CurvePoint, events)]
    values = {e.metric: e.value for e in only(Measurement, events)}
    assert losses[-1] < 0.8 * losses[0]
    assert values[metric] > 3 * chance


def test_steps_are_those_of_open_clips_training_loop() -> None:
    trial = trunk("clip", "tiny-b")
    session = Session(trial, CPU)
    network = copy.deepcopy(session.network)
    reference = torch.optim.AdamW(
        [
            {"params": [p for p in network.parameters() if p.ndim < 2], "weight_decay": 0.0},
            {"params": [p for p in network.parameters() if p.ndim >= 2], "weight_decay": 0.2},
        ],
        betas=(0.9, 0.95),
        eps=1e-6,
    )
    images, tokens = batch()

    for step in range(8):
        session.step(images, tokens)
        for group in reference.param_groups:
            group["lr"] = 4e-3 * min(1.0, (step + 1) * 32 / 128)
        reference.zero_grad()
        features, scalars, _ = network(images, tokens)
        loss = ClipLoss()(*features.values(), scalars["logit_scale"])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        reference.step()
        assert session.loss.item() == pytest.approx(loss.item(), rel=1e-5)

    assert session.samples_seen == 8 * 32
    for ours, theirs in zip(session.network.parameters(), network.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_learning_rate_follows_samples_seen() -> None:
    trial = trunk("clip")
    cosine = Cosine(**{**trial.__dict__, "samples_seen": 256})
    session = Session(cosine, CPU)

    rates = []
    for _ in range(8):
        session.step(*batch())
        rates.append(session.optimizer.param_groups[0]["lr"])

    assert rates == [cosine.learning_rate(32 * step) for step in range(8)]
    assert rates[3] == max(rates) == trial.recipe.learning_rate


def test_logit_scale_stays_between_1_and_100() -> None:
    session = Session(trunk("clip"), CPU)
    for extreme in (9.0, -9.0):
        session.network.logit_scale.data.fill_(extreme)
        session.step(*batch())
        assert 0 <= session.network.logit_scale.item() <= math.log(100) + 1e-6


def test_a_step_that_is_not_finite_changes_nothing_and_three_in_a_row_are_divergence() -> None:
    session = Session(trunk("clip"), CPU)
    images, tokens = batch()
    session.step(images, tokens)
    weights = copy.deepcopy(session.network.state_dict())

    for _ in range(2):
        session.step(images * math.nan, tokens)
    session.check()
    assert all(
        torch.equal(weights[name], value) for name, value in session.network.state_dict().items()
    )
    session.step(images, tokens)
    for _ in range(3):
        session.check()
        session.step(images * math.nan, tokens)

    with pytest.raises(Diverged) as failure:
        session.check()
    assert failure.value.samples_seen == 7 * 32
    assert str(pickle.loads(pickle.dumps(failure.value))) == str(failure.value)


def test_a_resumed_trial_remembers_steps_that_were_not_finite() -> None:
    images, tokens = batch()
    session = Session(trunk("clip"), CPU)
    for _ in range(2):
        session.step(images * math.nan, tokens)

    resumed = Session(trunk("clip"), CPU)
    resumed.restore(session.state())
    resumed.step(images * math.nan, tokens)

    with pytest.raises(Diverged):
        resumed.check()


def test_after_divergence_comes_no_number(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    family = type(FAMILIES.get("clip"))
    losses = family.batch_losses
    calls = iter(range(100))

    def overflowing(self: object, *batch: object) -> dict[str, torch.Tensor]:
        factor = 1.0 if next(calls) < 5 else math.inf
        return {name: factor * loss for name, loss in losses(self, *batch).items()}

    monkeypatch.setattr(family, "batch_losses", overflowing)
    events: list[Event] = []
    with pytest.raises(Diverged, match="256 samples seen"):
        events.extend(run(trunk("clip"), stops(512)))

    assert not only(Measurement, events)


def test_evaluation_leaves_the_network_in_training_mode_and_draws_no_numbers() -> None:
    session = Session(trunk(), CPU)
    before = torch.get_rng_state()

    with session.evaluating(session.network):
        assert not session.network.training
        torch.rand(3)

    assert session.network.training
    assert torch.equal(torch.get_rng_state(), before)


def test_a_cooldown_without_its_trunks_checkpoint_is_refused(run: Run) -> None:
    shared = trunk().__dict__
    cooldown = Cooldown(**shared, branch_point=64, samples_seen=96)

    with pytest.raises(ValueError, match="starts from its trunk's checkpoint"):
        run(cooldown, stops(96))


def test_a_stop_inside_a_batch_is_refused(run: Run) -> None:
    with pytest.raises(ValueError, match="not whole batches of 32"):
        run(trunk(), stops(100))


def test_an_attempt_says_how_fast_it_has_trained_before_each_checkpoint(run: Run) -> None:
    events = run(trunk(), stops(128, 160, 192))

    said = only(Throughput, events)
    assert [event.samples for event in said] == [96, 96, 96]
    assert said[0].seconds > 0
    assert said == [said[0]] * 3
    places = [events.index(event) for event in only(Checkpoint, events)]
    assert [type(events[place - 1]) for place in places] == [Throughput] * 3
