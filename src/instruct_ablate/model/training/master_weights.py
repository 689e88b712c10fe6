"""The weights an optimiser works on: fp32 masters of bf16 weights, with gradients summed in fp32.

bf16 has 8 bits of mantissa: an update smaller than 1/256 of a weight would be lost, and so would small gradients in a
sum. Master copies keep both (Micikevicius et al. 2018, "Mixed precision training").
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.autograd.graph import increment_version

from instruct_ablate.model.training.strategies import is_sharded, sharded_like, whole


class MasterWeights:
    """fp32 masters of a model's trainable parameters; parameters in fp32 are their own masters."""

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        self.parameters = [parameter for parameter in parameters if parameter.requires_grad]
        self.masters = [self._master(parameter) for parameter in self.parameters]
        self._handles = [
            parameter.register_post_accumulate_grad_hook(self._gather(master))  # type: ignore[no-untyped-call]
            for parameter, master in zip(self.parameters, self.masters, strict=True)
            if parameter is not master
        ]

    def master_of(self, parameter: nn.Parameter) -> nn.Parameter | None:
        """Return where a parameter's gradients are summed; None for what is frozen or lies divided."""
        pairs = zip(self.parameters, self.masters, strict=True)
        return next((master for own, master in pairs if own is parameter and not is_sharded(master)), None)

    @staticmethod
    def _master(parameter: nn.Parameter) -> nn.Parameter:
        if parameter.dtype == torch.float32:
            return parameter
        return nn.Parameter(parameter.detach().float())

    @staticmethod
    def _gather(master: nn.Parameter):  # type: ignore[no-untyped-def]  # noqa: ANN205
        """Return the hook that moves a fresh gradient into the master's, and frees it."""

        def move(parameter: Tensor) -> None:
            gradient = parameter.grad
            if gradient is None:
                return
            if master.grad is None:
                master.grad = gradient.float()
            else:
                master.grad.add_(gradient)
            parameter.grad = None

        return move

    def sum_over_processes(self) -> None:
        """Add up the gradients of all processes, in place."""
        for master in self.masters:
            # A process without an example of this step has no gradient, and all must take part in the sum.
            if master.grad is None:
                master.grad = torch.zeros_like(master)
            torch.distributed.all_reduce(master.grad)

    @torch.no_grad()
    def publish(self) -> None:
        """Copy the masters into the model's weights; what is its own master has been written to.

        A fused optimiser does not count that, and whoever asks whether weights are still the same (`model/trial`) would
        take trained ones for those that were loaded.
        """
        for parameter, master in zip(self.parameters, self.masters, strict=True):
            if parameter is not master:
                parameter.copy_(master)
        increment_version(self.masters)

    def finite(self) -> bool:
        """Whether no gradient overflowed, on any process."""
        return all(bool(master.grad.isfinite().all()) for master in self.masters if master.grad is not None)

    def multiply(self, factor: float) -> None:
        """Scale all gradients."""
        for master in self.masters:
            if master.grad is not None:
                master.grad.mul_(factor)

    def state(self) -> list[Tensor]:
        """Return the masters, whole."""
        return [whole(master.detach()) for master in self.masters]

    @torch.no_grad()
    def load(self, tensors: list[Tensor]) -> None:
        """Set the masters, and the model's weights with them."""
        for master, tensor in zip(self.masters, tensors, strict=True):
            master.copy_(sharded_like(tensor, master))
        self.publish()

    def release(self) -> None:
        """Stop listening to gradients."""
        for handle in self._handles:
            handle.remove()
