"""How processes train together: each its share of a step's examples, gradients summed, weights whole or sharded.

Lightning's own wrapping (DDP) would average gradients after every backward pass; a step here has several, and its
loss is a sum. So the strategies keep Lightning's processes, ranks and devices, and leave the summing to the module.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from pytorch_lightning.strategies import DDPStrategy, Strategy
from torch import Tensor, nn

from instruct_ablate.schema import TrainerConfig


class SummedStrategy(DDPStrategy):
    """Every process has the whole model; the module sums gradients once a step."""

    def configure_ddp(self) -> None:
        """Start from the first process's weights."""
        assert self.lightning_module is not None
        for weight in self.lightning_module.parameters():
            torch.distributed.broadcast(weight.data, 0)


class ShardedStrategy(SummedStrategy):
    """Weights, gradients and optimiser states are divided among the processes (FSDP2); bf16 where it computes."""

    def configure_ddp(self) -> None:
        """Shard the model: each layer is gathered when it is needed."""
        super().configure_ddp()
        module: Any = self.lightning_module
        shard(module.losses, self.root_device, module.dtype_of_products)


def build_strategy(settings: TrainerConfig) -> Strategy | str:
    """Return the strategy for `trainer.strategy` and the number of devices."""
    if settings.strategy == "fsdp":
        return ShardedStrategy()
    if settings.devices * settings.num_nodes > 1 or settings.strategy == "ddp":
        return SummedStrategy()
    return "auto"


def shard(losses: nn.Module, device: torch.device, products: torch.dtype) -> None:
    """Shard every layer of a model, and what is left, among all processes; sums are kept in fp32."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    mesh = init_device_mesh(device.type, (torch.distributed.get_world_size(),))
    policy = MixedPrecisionPolicy(param_dtype=products, reduce_dtype=torch.float32)
    # From within outwards, as FSDP2 asks: the whole takes what no layer has taken.
    for layers in [part for part in losses.modules() if isinstance(part, nn.ModuleList)]:
        if any(type(layer).__name__.endswith(("Layer", "Block")) for layer in layers):
            for layer in layers:
                fully_shard(layer, mesh=mesh, mp_policy=policy)
    fully_shard(losses, mesh=mesh, mp_policy=policy)


def master_copy(model: nn.Module) -> nn.Module:
    """Return an fp32 copy of a model, to be sharded; the model itself stays as it is."""
    return copy.deepcopy(model).float()


def whole(tensor: Tensor) -> Tensor:
    """Return a sharded tensor put together (all processes must ask), any other as it is."""
    return tensor.full_tensor() if is_sharded(tensor) else tensor  # type: ignore[attr-defined]


def sharded_like(tensor: Tensor, pattern: Tensor) -> Tensor:
    """Return a whole tensor divided as `pattern` is."""
    # An optimiser's state holds numbers besides (Adam's count of steps), which are nobody's share.
    if not is_sharded(pattern) or tensor.shape != pattern.shape:
        return tensor
    from torch.distributed.tensor import distribute_tensor

    place: Any = pattern
    return distribute_tensor(tensor.to(place.device), place.device_mesh, place.placements)


def is_sharded(tensor: Tensor) -> bool:
    """Whether a tensor lies divided among processes."""
    if not torch.distributed.is_available():
        return False
    from torch.distributed.tensor import DTensor

    return isinstance(tensor, DTensor)
