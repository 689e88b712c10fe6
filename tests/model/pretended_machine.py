"""A machine with a GPU that is not there: whole cells run as if `torch.cuda` had found one.

Tensors are `pretended_gpu`'s. Lightning's accelerator of GPUs asks the driver what it is, so that its strategy for one
device stands here with the processor's accelerator; modules go there and back with the same parameters, as they do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from benchmarks.recorded_steps import RecordedSteps
from pytorch_lightning import Trainer
from pytorch_lightning.strategies import SingleDeviceStrategy
from torch import Tensor, nn

from instruct_ablate.data import micro_batch
from instruct_ablate.model import cuda_attention
from instruct_ablate.model.decoding.layers import step_graph
from instruct_ablate.model.training import fit
from instruct_ablate.process.turns import Turn
from tests.model import test_cuda_attention
from tests.model.pretended_gpu import GPU, KNOWN, OnGpu, _Function, pretended, up

STATE = 16  # bytes of a GPU's generator
MEMORY = 3 << 30  # bytes that tensors took at most


def flash_attention(
    query: Tensor, key: Tensor, value: Tensor, lengths: Any, scale: float, reach: Any
) -> Tensor:
    """FlashAttention's kernel, with what it demands: 16-bit states and 32-bit offsets, all on the GPU."""
    given = (query, key, value, *lengths[:2])
    assert {type(one) for one in given} == {OnGpu}
    assert len({one.dtype for one in given[:3]}) == 1
    assert query.dtype in cuda_attention.HALVES
    assert {one.dtype for one in given[3:]} == {torch.int32}
    assert all(type(longest) is int for longest in lengths[2:])
    parts = [one.cpu() for one in given]
    return up(test_cuda_attention.dense(*parts[:3], (*parts[3:], *lengths[2:]), scale, reach))


class Machine:
    """The one GPU: its generator, and what was asked of it."""

    name = "a GPU that is not there"

    def __init__(self) -> None:
        self.state = torch.zeros(STATE, dtype=torch.uint8)
        self.pinned = 0

    def get_rng_state(self, device: Any = 0) -> Tensor:
        """Return a copy, on the processor."""
        return self.state.clone()

    def set_rng_state(self, state: Tensor, device: Any = 0) -> None:
        """Take a state, which must lie on the processor."""
        if isinstance(state, OnGpu) or state.dtype != torch.uint8:
            raise TypeError("expected a torch.ByteTensor")
        self.state = state.clone()

    def pin(self, tensor: Tensor) -> Tensor:
        """Copy a tensor of the processor into page-locked memory."""
        if isinstance(tensor, OnGpu):
            raise RuntimeError("cannot pin a tensor that lies on the GPU")
        self.pinned += 1
        return tensor.clone()


class Strategy(SingleDeviceStrategy):
    """Lightning's own for one device, which is the GPU."""

    def __init__(self) -> None:
        super().__init__(device=GPU)

    def setup_environment(self) -> None:
        """Ask the accelerator nothing: the device is none of the processor's."""


def _brought(module: nn.Module, change: Any) -> nn.Module:
    """Change all weights, gradients and buffers of a module; weights stay the objects that they are."""
    for part in module.modules():
        for weight in part._parameters.values():
            if weight is not None:
                gradient = weight.grad
                new = nn.Parameter(change(weight.detach()), weight.requires_grad)
                if type(new) is not type(weight):
                    weight.grad = None
                    KNOWN.pop(weight, None)
                    KNOWN.pop(new, None)
                    torch.utils.swap_tensors(weight, new)
                    weight.grad = None if gradient is None else change(gradient)
        for name, buffer in part._buffers.items():
            if buffer is not None:
                part._buffers[name] = change(buffer)
    return module


def to(module: nn.Module, former: Any, *given: Any, **named: Any) -> nn.Module:
    """`Module.to`, by which a model comes to the GPU."""
    if given and str(given[0]).startswith("cuda"):
        _brought(module, up)
        for part in module.modules():
            if hasattr(part, "_device"):  # Lightning's modules say where they are
                part._device = GPU
        given = given[1:]
    elif given and str(given[0]) == "cpu":
        cpu(module)
        given = given[1:]
    asked = any(one is not None for one in (*given, *named.values()))
    return former(module, *given, **named) if asked else module


def cpu(module: nn.Module) -> nn.Module:
    """`Module.cpu`, by which Lightning takes a model back."""
    _brought(module, lambda one: one.cpu().detach() if isinstance(one, OnGpu) else one)
    for part in module.modules():
        if hasattr(part, "_device"):
            part._device = torch.device("cpu")
    return module


@contextmanager
def one_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """Let cells find a GPU."""
    made = Machine()
    fakes: dict[str, Any] = {
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "is_initialized": lambda: True,
        "get_device_capability": lambda *_: (9, 0),
        "get_device_name": lambda *_: made.name,
        "get_rng_state": made.get_rng_state,
        "get_rng_state_all": lambda: [made.get_rng_state()],
        "set_rng_state": made.set_rng_state,
        "set_rng_state_all": lambda states: made.set_rng_state(states[0]),
        "manual_seed_all": lambda seed: None,
        "synchronize": lambda *_: None,
        "empty_cache": lambda: None,
        "reset_peak_memory_stats": lambda *_: None,
        "max_memory_allocated": lambda *_: MEMORY,
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    own = nn.Module.to
    monkeypatch.setattr(nn.Module, "to", lambda module, *given, **named: to(module, own, *given, **named))
    monkeypatch.setattr(nn.Module, "cpu", cpu)
    monkeypatch.setattr(
        fit,
        "Trainer",
        lambda **settings: Trainer(**{**settings, "accelerator": "cpu", "strategy": Strategy()}),
    )
    monkeypatch.setattr(micro_batch, "_pinned", made.pin)
    monkeypatch.setattr(cuda_attention, "flash_attention", flash_attention)
    monkeypatch.setitem(step_graph.CAPTURES, "cuda", RecordedSteps)
    cuda_attention._works.cache_clear()
    run = Turn.run

    def there(turn: Turn) -> None:
        with _Function():  # a mode is each thread's own
            run(turn)

    monkeypatch.setattr(Turn, "run", there)
    with pretended():
        yield made
    cuda_attention._works.cache_clear()
