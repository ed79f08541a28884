"""Memory that is exceeded: the trial goes on with less at once, and the same batch."""

import math
from pathlib import Path

import pytest
import torch
from small_trials import RECIPE, stops, trunk

from scaling.orchestrator.worker import Batch, Crash, Hello, Message, attempt
from scaling.train.gradients import Gradients
from scaling.trial import Checkpoint, CurvePoint, Execution, Work

FITS = 8


def work(directory: Path, fits: dict[str, int], start: tuple[Checkpoint, ...] = ()) -> Work:
    return Work(
        trial=trunk("clip"),
        stops=stops(256),
        checkpoints=start,
        directory=directory,
        execution=Execution(),
        fits=fits,
    )


def losses(messages: list[Message]) -> dict[int, float]:
    return {
        event.samples_seen: event.loss
        for message in messages
        if isinstance(message, Batch)
        for event in message.events
        if isinstance(event, CurvePoint)
    }


@pytest.mark.parametrize("after", [0, 5], ids=["at the first step", "after five steps"])
def test_the_loss_is_the_same_with_what_fits(
    after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = list(attempt("scaling.train:train", work(tmp_path / "a", {}), tmp_path / "a.log"))
    exceed_memory_above(FITS, after, monkeypatch)

    rows: list[int] = []
    fits: dict[str, int] = {}
    for number in range(5):
        log = tmp_path / f"{number}.log"
        messages = list(attempt("scaling.train:train", work(tmp_path / "b", fits), log))
        hello, last = messages[0], messages[-1]
        assert isinstance(hello, Hello)
        rows.append(hello.versions["rows"])
        if not isinstance(last, Crash):
            break
        assert (last.kind, last.rows) == ("oom", rows[-1])
        fits = {hello.versions["device"]: math.ceil(rows[-1] / 2)}

    assert rows == [RECIPE.batch_size, 16, FITS]
    expected = losses(whole)
    found = losses(messages)
    assert found.keys() == expected.keys()
    for samples_seen, loss in found.items():
        assert loss == pytest.approx(expected[samples_seen], abs=1e-3)


def exceed_memory_above(rows: int, after: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a GPU would raise; here the number of rows decides, once so many steps were taken."""
    backward = Gradients.backward
    taken = 0

    def backward_or_raise(
        self: Gradients,
        network: object,
        batch: object,
        micro_batch_size: int | None,
        *rest: object,
    ) -> object:
        nonlocal taken
        taken += 1
        if taken > after and (micro_batch_size is None or micro_batch_size > rows):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return backward(self, network, batch, micro_batch_size, *rest)

    monkeypatch.setattr(Gradients, "backward", backward_or_raise)
