"""Recomputing and compiling blocks change speed and memory, and no result."""

import contextlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from small_batches import RECIPE, batch_of, network_of
from small_trials import facts, only, stops, trunk
from torch import Tensor, nn

from scaling.families import FAMILIES, Family
from scaling.train import blocks, train
from scaling.train.blocks import Blocks, transformer_blocks
from scaling.train.gradients import Gradients
from scaling.train.session import Session
from scaling.trial import Event, Execution, Note, Trial, Work

# Dynamo looks at `.grad` of all that it traces.
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")

CPU = torch.device("cpu")
RECOMPUTED = Execution(gradient_checkpointing=True)
COMPILED = Execution(compile=True)


@pytest.fixture(params=FAMILIES.names())
def family(request: pytest.FixtureRequest) -> Family:
    return FAMILIES.get(request.param)


@pytest.fixture
def run_with(tmp_path: Path) -> Callable[[Trial, Execution], list[Event]]:
    def run_with(trial: Trial, execution: Execution) -> list[Event]:
        work = Work(
            trial=trial,
            stops=stops(96),
            checkpoints=(),
            directory=tmp_path / str(execution),
            execution=execution,
        )
        return list(train(work, device="cpu"))

    return run_with


@pytest.fixture
def backend() -> Iterator[Callable[[Callable[..., object]], None]]:
    """Make a function what `torch.compile` uses."""
    with pytest.MonkeyPatch.context() as patch:
        yield lambda function: patch.setattr(blocks, "BACKEND", function)
    torch._dynamo.reset()


def gradient(family: Family, micro_batch_size: int | None, **how: bool) -> dict[str, Tensor]:
    network = network_of(family)
    Blocks(
        network,
        **{"compiled": False, "recomputed": False, **how},
        precision=contextlib.nullcontext,
    )
    Gradients(family, RECIPE).backward(network, batch_of(family), micro_batch_size)
    return {name: p.grad for name, p in network.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("micro_batch_size", [None, 5])
def test_recomputed_blocks_give_the_same_gradient(
    family: Family, micro_batch_size: int | None
) -> None:
    kept = gradient(family, micro_batch_size)

    recomputed = gradient(family, micro_batch_size, recomputed=True)

    assert recomputed.keys() == kept.keys()
    for name, expected in kept.items():
        torch.testing.assert_close(recomputed[name], expected, rtol=1e-12, atol=0, msg=name)


def test_recomputed_blocks_keep_fewer_activations(family: Family) -> None:
    def kept_bytes(recomputed: bool) -> int:
        network, sizes = network_of(family), []
        Blocks(network, compiled=False, recomputed=recomputed, precision=contextlib.nullcontext)

        def pack(tensor: Tensor) -> Tensor:
            sizes.append(tensor.nbytes)
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            network(*batch_of(family))
        return sum(sizes)

    assert kept_bytes(recomputed=True) < 0.6 * kept_bytes(recomputed=False)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_training_with_recomputed_blocks_is_the_same_to_the_last_bit(
    run_with: Callable[[Trial, Execution], list[Event]], precision: str
) -> None:
    trial = trunk("mammut", precision=precision)

    assert facts(run_with(trial, RECOMPUTED)) == facts(run_with(trial, Execution()))


def test_every_block_is_found_and_names_of_weights_stay(family: Family) -> None:
    network = network_of(family)
    names = list(network.state_dict())
    attentions = [m for m in network.modules() if isinstance(m, nn.MultiheadAttention)]

    Blocks(network, compiled=False, recomputed=True, precision=contextlib.nullcontext)

    assert list(network.state_dict()) == names
    within = {m for block in transformer_blocks(network) for m in block.modules()}
    outside = [m for m in attentions if m not in within]
    assert len(outside) <= 1  # CoCa pools the image by attention outside of its blocks.


def test_compiled_blocks_give_the_same_gradient(
    family: Family, backend: Callable[[Callable[..., object]], None]
) -> None:
    graphs = []
    plain = gradient(family, 5)

    def counting(graph: torch.fx.GraphModule, _: list[Tensor]) -> Callable[..., object]:
        graphs.append(graph)
        return graph.forward

    backend(counting)
    compiled = gradient(family, 5, compiled=True, recomputed=True)

    assert graphs
    assert compiled.keys() == plain.keys()
    for name, expected in plain.items():
        torch.testing.assert_close(compiled[name], expected, rtol=1e-9, atol=1e-12, msg=name)


def test_where_compiling_fails_training_goes_on_without_and_says_so_once(
    run_with: Callable[[Trial, Execution], list[Event]],
    backend: Callable[[Callable[..., object]], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    def failing(graph: object, inputs: object) -> Callable[..., object]:
        raise RuntimeError("no compiler here\nand a second line")

    trial = trunk("clip")
    plain = run_with(trial, Execution())
    backend(failing)
    with caplog.at_level(logging.WARNING, "scaling"):
        fallen_back = run_with(trial, COMPILED)

    assert facts(fallen_back) == facts(plain)
    (note,) = only(Note, fallen_back)
    assert note.text.startswith("torch.compile failed, going on without: BackendCompilerFailed")
    assert [record.getMessage() for record in caplog.records] == [note.text]
    assert "\n" not in note.text


def test_an_error_that_is_not_of_compiling_is_raised(
    backend: Callable[[Callable[..., object]], None],
) -> None:
    backend(lambda graph, _: graph.forward)
    session = Session(trunk("clip"), CPU, execution=COMPILED)
    images = torch.randn(32, 3, 16, 16)

    with pytest.raises(IndexError):
        session.step(images, torch.full((32, 16), 10**6))


def test_blocks_are_computed_as_written_in_evaluation(
    backend: Callable[[Callable[..., object]], None],
) -> None:
    def failing(graph: object, inputs: object) -> Callable[..., object]:
        raise RuntimeError("compiled")

    backend(failing)
    session = Session(trunk("clip"), CPU, execution=COMPILED)

    with session.evaluating(session.network):
        session.network.encode_image(torch.randn(2, 3, 16, 16))
