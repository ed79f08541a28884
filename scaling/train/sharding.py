"""A network on several processes: a copy on each (DDP), or a shard of it on each (FSDP2).

In both, gradients are means over processes when `backward` has ended. Under FSDP parameters,
gradients and optimizer state are `DTensor`s, each process holding its part; what is saved and
measured is whole, so that a checkpoint does not say how it was trained.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, Partial, Replicate, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from scaling.families import Outputs, World
from scaling.train.blocks import transformer_blocks
from scaling.trial import Sharding


def parallel(network: nn.Module, world: World, sharding: Sharding) -> nn.Module:
    """What to call in training instead of `network`, which it holds; under FSDP it shards it."""
    if world.size == 1:
        return network
    if sharding == "fsdp":
        return Sharded(network, world)
    copies = DistributedDataParallel(network, gradient_as_bucket_view=True)
    # Buffers are constants here (attention masks): nothing to send around in each step. Set
    # afterwards, because the argument has another name from torch 2.15 on.
    copies.broadcast_buffers = False
    return copies


class Sharded(nn.Module):
    """A network whose every transformer block is gathered when it computes, and then let go."""

    def __init__(self, network: nn.Module, world: World) -> None:
        """Shard the parameters of `network`, in place, evenly over the processes of `world`."""
        super().__init__()
        device = next(network.parameters()).device
        mesh = init_device_mesh(device.type, (world.size,))
        # FSDP2 takes no scalars. They are whole everywhere, and `DTensor`s like the others, so
        # that the optimizer and the norm of the gradient take them all at once.
        scalars = set(_replicate_scalars(network, mesh))
        for module in list(transformer_blocks(network)):
            fully_shard(module, mesh=mesh, ignored_params=scalars)
        fully_shard(network, mesh=mesh, ignored_params=scalars)
        self.network = network

    def forward(self, images: Tensor, tokens: Tensor, captions: bool = True) -> Outputs:
        """See `scaling.families.Outputs`; all of them plain tensors."""
        outputs: Outputs = self.network(images, tokens, captions=captions)
        scalars = {
            name: scalar.to_local(grad_placements=[Partial("avg")])
            if isinstance(scalar, DTensor)
            else scalar
            for name, scalar in outputs.scalars.items()
        }
        return outputs._replace(scalars=scalars)

    @contextmanager
    def no_sync(self) -> Iterator[None]:
        """Keep gradients of backward passes within to this process, as DDP's `no_sync` does."""
        assert isinstance(self.network, FSDPModule)
        self.network.set_requires_gradient_sync(False)
        try:
            yield
        finally:
            self.network.set_requires_gradient_sync(True)


def whole(state: Any) -> Any:
    """`state` (nested dicts and lists) with every shard replaced by the tensor it is part of.

    All processes call it; those of rank 0 are on the CPU, the others' are empty.
    """
    if isinstance(state, DTensor):
        full = state.full_tensor()
        return full.cpu() if distributed.get_rank() == 0 else full.new_empty(0)
    if isinstance(state, Mapping):
        return {key: whole(value) for key, value in state.items()}
    if isinstance(state, list):
        return [whole(value) for value in state]
    return state


def laid_out_like(parameter: Tensor, full: Tensor) -> Tensor:
    """This process's part of `full` if `parameter` is a shard, else all of it."""
    if not isinstance(parameter, DTensor):
        return full
    part = distribute_tensor(
        full.to(parameter.device), parameter.device_mesh, parameter.placements, src_data_rank=None
    )
    return part.clone()  # The part may be a view, which would keep all of `full` in memory.


def load_network(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Put whole tensors, by name, into `network`."""
    current = network.state_dict()
    network.load_state_dict(
        {name: laid_out_like(current[name], tensor) for name, tensor in state.items()}
    )


def load_optimizer(optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Put a state dict of whole tensors into `optimizer`."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    laid_out = {
        index: {
            key: laid_out_like(parameters[index], value)
            if isinstance(value, Tensor) and key != "step"
            else value
            for key, value in values.items()
        }
        for index, values in state["state"].items()
    }
    optimizer.load_state_dict({**state, "state": laid_out})


def local_part(tensor: Tensor) -> Tensor:
    """What of `tensor` this process holds, as a plain tensor on the same memory."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def full_tensor(tensor: Tensor) -> Tensor:
    """A plain tensor: `tensor` itself, or what it is part of."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def _replicate_scalars(network: nn.Module, mesh: DeviceMesh) -> list[nn.Parameter]:
    replicated = []
    for name, scalar in list(network.named_parameters()):
        if scalar.ndim == 0:
            owner, _, attribute = name.rpartition(".")
            whole_everywhere = distribute_tensor(scalar.detach(), mesh, [Replicate()])
            parameter = nn.Parameter(whole_everywhere, requires_grad=scalar.requires_grad)
            if parameter.requires_grad:
                parameter.register_post_accumulate_grad_hook(_average)  # type: ignore[no-untyped-call]
            setattr(network.get_submodule(owner), attribute, parameter)
            replicated.append(parameter)
    return replicated


def _average(parameter: Tensor) -> None:
    """Replace the gradient, of which each process has its own, by the mean."""
    gradient = parameter.grad
    assert isinstance(gradient, DTensor)
    parameter.grad = gradient.redistribute(placements=[Replicate()])
