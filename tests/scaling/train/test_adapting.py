"""Micro-batches that are found: halved until they fit, remembered, and the same result."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from small_trials import only, stops, trunk

from scaling.train import adapting, train
from scaling.train.session import Session
from scaling.trial import Checkpoint, Execution, Note, Work

CPU = torch.device("cpu")
AUTO = Execution(micro_batch_size="auto")


@pytest.fixture(autouse=True)
def _nothing_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapting, "_FITTED", {})


@pytest.fixture
def rows_that_fit(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """A device whose memory holds 10 rows with their activations; the rows that were tried."""
    from scaling.families.clip.network import Clip

    forward, tried = Clip.forward, []

    def limited(self: Clip, images: torch.Tensor, *rest: object, **how: object) -> object:
        if torch.is_grad_enabled():
            tried.append(len(images))
            if len(images) > 10:
                raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, images, *rest, **how)

    monkeypatch.setattr(Clip, "forward", limited)
    return tried


def batch(count: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(count, 3, 16, 16, generator=generator)
    return images, torch.randint(1, 40, (count, 16), generator=generator)


def test_sizes_are_halved_until_they_fit_and_remembered(rows_that_fit: list[int]) -> None:
    session = Session(trunk("clip"), CPU, execution=AUTO)

    session.step(*batch())
    assert rows_that_fit == [32, 16, 8, 8, 8, 8]
    assert session.adapting.notes() == [
        "32 rows exceed the memory, going on with micro-batches of 16",
        "16 rows exceed the memory, going on with micro-batches of 8",
    ]
    assert session.adapting.notes() == []

    rows_that_fit.clear()
    Session(trunk("clip", learning_rate=1e-3), CPU, execution=AUTO).step(*batch())
    assert rows_that_fit == [8, 8, 8, 8]


def test_a_step_that_was_tried_again_is_the_step_of_the_whole_batch(
    rows_that_fit: list[int],
) -> None:
    found = Session(trunk("clip", patch_dropout=0.5), CPU, execution=AUTO)
    given = Session(trunk("clip", patch_dropout=0.5), CPU, execution=Execution(micro_batch_size=8))

    for session in (found, given):
        for _ in range(3):
            session.step(*batch())

    for ours, theirs in zip(found.network.parameters(), given.network.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_what_is_found_is_told_with_the_events(rows_that_fit: list[int], tmp_path: Path) -> None:
    work = Work(
        trial=trunk("clip"), stops=stops(64), checkpoints=(), directory=tmp_path, execution=AUTO
    )

    events = list(train(work, device="cpu"))

    assert [note.text[:7] for note in only(Note, events)] == ["32 rows", "16 rows"]
    assert only(Checkpoint, events)


@pytest.mark.parametrize("execution", [Execution(), Execution(micro_batch_size=16)], ids=str)
def test_a_size_that_was_written_stays(rows_that_fit: list[int], execution: Execution) -> None:
    session = Session(trunk("clip"), CPU, execution=execution)

    with pytest.raises(torch.OutOfMemoryError):
        session.step(*batch())


def test_one_row_that_does_not_fit_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from scaling.families.clip.network import Clip

    def full(*_: object, **__: object) -> object:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Clip, "forward", full)
    with pytest.raises(torch.OutOfMemoryError):
        Session(trunk("clip"), CPU, execution=AUTO).step(*batch())
