"""What the model side takes from inside torch: private names and operators; nowhere else.

Each has a test that says what broke when a new version moves it.
"""

from __future__ import annotations

import sys

import torch
from torch import Tensor, nn


def uncompile(module: nn.Module) -> None:
    """Take back `module.compile()`."""
    module._compiled_call_impl = None


def listened_to(module: nn.Module) -> bool:
    """Whether anyone has asked to be told of a module's forward or backward passes, or to change them."""
    hooks = (
        module._forward_pre_hooks,
        module._forward_hooks,
        module._backward_pre_hooks,
        module._backward_hooks,
    )
    return any(hooks)


def forget_compiled() -> None:
    """Drop what `torch.compile` made in this process, if it was used at all."""
    if "torch._dynamo" in sys.modules:
        torch._dynamo.reset()


def times_written(tensor: Tensor) -> int | None:
    """Return how often a tensor was written to in place; None where that is not counted (made in inference mode)."""
    return None if tensor.is_inference() else tensor._version


def silu_slopes(slopes: Tensor, states: Tensor) -> Tensor:
    """Return the gradient of SiLU with respect to its input."""
    result: Tensor = torch.ops.aten.silu_backward(slopes, states)
    return result


def gelu_slopes(slopes: Tensor, states: Tensor) -> Tensor:
    """Return the gradient of GELU (its tanh form) with respect to its input."""
    result: Tensor = torch.ops.aten.gelu_backward(slopes, states, approximate="tanh")
    return result


def flash_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    lengths: tuple[Tensor, Tensor, int, int],
    scale: float,
    reach: tuple[int, int] = (-1, -1),
) -> Tensor:
    """Return FlashAttention's output (queries, heads, dim) for sequences of unequal length, end to end.

    `lengths`: offsets of queries and of keys (int32), and the longest of each. `reach`: how many keys before and behind
    its own place a query sees, -1 for all; the last query of a sequence stands at its last key.
    """
    result: Tensor = torch.ops.aten._flash_attention_forward(
        query, key, value, *lengths, 0.0, reach == (-1, 0), False, scale=scale,
        window_size_left=reach[0], window_size_right=reach[1],
    )[0]  # fmt: skip
    return result
