"""What the model side takes from inside torch: private names and operators; nowhere else.

Each has a test that says what broke when a new version moves it.
"""

from __future__ import annotations

import sys

import torch
from torch import Tensor, nn

FEW_ROWS = 32  # how many oneDNN is told to expect of a product with ordered weights


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


def takes_kernel_order() -> bool:
    """Whether this build of torch can order bf16 weights for oneDNN's kernels, and this processor has such kernels."""
    ordering = hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
    return ordering and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def in_kernel_order(weight: Tensor) -> Tensor:
    """Return a copy of a bf16 weight (outputs, inputs) as oneDNN's kernels read it; good for `times_ordered` alone."""
    result: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), FEW_ROWS)
    return result


def times_ordered(states: Tensor, ordered: Tensor, bias: Tensor | None) -> Tensor:
    """Return what `torch.nn.functional.linear` gives of states and the weight that was ordered."""
    result: Tensor = torch.ops.mkldnn._linear_pointwise(states, ordered, bias, "none", [], "")
    return result
