import math
from pathlib import Path

import pytest
import torch
from small_trials import facts, only, stops, trunk

from scaling.train import train
from scaling.trial import Checkpoint, CurvePoint, Event, Measurement, Trial, Work

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA"),
]


def events_of(
    trial: Trial, at: int, directory: Path, checkpoints: tuple[Checkpoint, ...] = ()
) -> list[Event]:
    work = Work(trial=trial, stops=stops(at), checkpoints=checkpoints, directory=directory)
    return list(train(work))


@pytest.mark.parametrize("family", ["clip", "mammut"])
def test_a_gpu_is_found_and_gives_the_losses_of_the_cpu(family: str, tmp_path: Path) -> None:
    on_gpu = events_of(trunk(family), 512, tmp_path / "gpu")
    work = Work(trial=trunk(family), stops=stops(512), checkpoints=(), directory=tmp_path / "cpu")
    on_cpu = list(train(work, device="cpu"))

    losses = [[e.loss for e in only(CurvePoint, events)] for events in (on_gpu, on_cpu)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-2)


def test_bf16_trains_and_resumes_on_a_gpu(tmp_path: Path) -> None:
    trial = trunk("mammut", "tiny-b", precision="bf16")

    first = events_of(trial, 512, tmp_path / "1")
    second = events_of(trial, 1024, tmp_path / "2", tuple(only(Checkpoint, first)))

    assert [fact[0] for fact in facts(second)][-3:] == ["checkpoint", "Measurement", "Measurement"]
    assert all(math.isfinite(e.loss) for e in only(CurvePoint, first + second))
    assert len(only(Measurement, second)) == 2
