"""What is taken from inside torch is there and does what it did; each failure names what moved."""

from __future__ import annotations

import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from instruct_ablate.model.torch_internals import (
    flash_attention,
    forget_compiled,
    gelu_slopes,
    in_kernel_order,
    listened_to,
    silu_slopes,
    takes_kernel_order,
    times_ordered,
    times_written,
    uncompile,
)


def test_compiling_a_module_is_taken_back() -> None:
    layer = nn.Linear(2, 2)
    layer.compile(dynamic=True)
    assert layer._compiled_call_impl is not None, "Module.compile keeps what it made under another name"
    uncompile(layer)
    assert layer._compiled_call_impl is None


@pytest.mark.parametrize(
    "listen",
    [
        "register_forward_pre_hook",
        "register_forward_hook",
        "register_full_backward_pre_hook",
        "register_full_backward_hook",
    ],
)
def test_whoever_listens_to_a_module_is_seen(listen: str) -> None:
    layer = nn.Linear(2, 2)
    assert not listened_to(layer)
    handle = getattr(layer, listen)(lambda *_: None)
    assert listened_to(layer), f"what {listen} gives is kept under another name"
    handle.remove()
    assert not listened_to(layer)


def test_what_was_compiled_is_forgotten() -> None:
    import torch._dynamo

    assert callable(torch._dynamo.reset), "torch._dynamo.reset is gone"
    compiled = torch.compile(lambda value: value + 1, backend="eager")
    assert compiled(torch.zeros(1)) == 1
    forget_compiled()
    assert compiled(torch.zeros(1)) == 1


def test_nothing_is_imported_to_forget_what_was_never_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch._dynamo", raising=False)
    forget_compiled()
    assert "torch._dynamo" not in sys.modules


@pytest.mark.parametrize(
    ("ours", "activate"),
    [(silu_slopes, F.silu), (gelu_slopes, lambda states: F.gelu(states, approximate="tanh"))],
)
def test_slopes_are_those_of_autograd(ours: object, activate: object) -> None:
    states = torch.linspace(-3, 3, 13, requires_grad=True)
    slopes = torch.linspace(1, 2, 13)
    (wanted,) = torch.autograd.grad(activate(states), states, slopes)  # type: ignore[operator]
    given = ours(slopes, states.detach())  # type: ignore[operator]
    torch.testing.assert_close(given, wanted, msg="an operator *_backward of torch.ops.aten has changed")


def test_flash_attention_for_unequal_lengths_takes_what_it_is_given() -> None:
    schema = torch.ops.aten._flash_attention_forward.default._schema
    names = [argument.name for argument in schema.arguments]
    assert names[:10] == [
        "query", "key", "value", "cum_seq_q", "cum_seq_k", "max_q", "max_k", "dropout_p", "is_causal",
        "return_debug_mask",
    ], "aten::_flash_attention_forward takes its arguments in another order"  # fmt: skip
    assert {"scale", "window_size_left", "window_size_right"} <= set(names)
    has_gradient = torch._C._dispatch_has_kernel_for_dispatch_key(
        "aten::_flash_attention_forward", "Autograd"
    )
    assert has_gradient, "aten::_flash_attention_forward has no gradient"
    states, lengths = torch.zeros(3, 2, 8), torch.tensor([0, 3], dtype=torch.int32)
    with pytest.raises(NotImplementedError, match="CPU"):
        flash_attention(states, states, states, (lengths, lengths, 3, 3), 1.0, (1, 0))


def test_writes_to_a_tensor_are_counted() -> None:
    weight = nn.Linear(2, 2).weight
    before = times_written(weight)
    with torch.no_grad():
        weight.add_(1)
        torch._foreach_mul_([weight], 2.0)
    assert before is not None
    assert times_written(weight) == before + 2, "torch counts writes by another name"
    with torch.inference_mode():
        made = torch.ones(2)
    assert times_written(made) is None


@pytest.mark.parametrize("biased", [False, True])
def test_ordered_weights_give_a_linear_layer_s_products(biased: bool) -> None:
    assert hasattr(torch.ops.mkldnn, "_reorder_linear_weight"), (
        "torch.ops.mkldnn._reorder_linear_weight is gone"
    )
    if not takes_kernel_order():
        pytest.skip("no bf16 kernels of oneDNN on this processor")
    weight, states = torch.randn(80, 64).bfloat16(), torch.randn(1, 3, 64).bfloat16()
    bias = torch.randn(80).bfloat16() if biased else None
    found = times_ordered(states, in_kernel_order(weight), bias)
    torch.testing.assert_close(
        found, F.linear(states, weight, bias), msg="torch.ops.mkldnn._linear_pointwise has changed"
    )
