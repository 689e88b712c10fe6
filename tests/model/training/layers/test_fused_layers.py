from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from instruct_ablate.model.training.layers.fused_layers import (
    ROWS,
    Gated,
    GatedOutput,
    RMSNorm,
    _rows,
    compiled,
    fused,
)
from tests.model.fits import NAMES, load, make_config


def plain_norm(states: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    wide = states.float()
    return weight * (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + epsilon)).to(states.dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_norm_and_its_gradients(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    states = torch.randn(1, ROWS + 9, 32, dtype=dtype, requires_grad=True)
    weight = torch.randn(32, dtype=dtype, requires_grad=True)
    given, wanted = RMSNorm.apply(states, weight, 1e-5), plain_norm(states, weight, 1e-5)
    assert torch.equal(given, wanted)
    slopes = torch.randn_like(wanted)
    tolerance = 1e-5 if dtype == torch.float32 else 2e-2
    for one, other in zip(
        torch.autograd.grad(given, (states, weight), slopes),
        torch.autograd.grad(wanted, (states, weight), slopes),
        strict=True,
    ):
        assert one.dtype == dtype
        assert (one - other).abs().max() <= tolerance * other.abs().max()


@pytest.mark.parametrize(
    ("name", "activate"), [("silu", F.silu), ("gelu", lambda x: F.gelu(x, approximate="tanh"))]
)
def test_gate_and_its_gradients(name: str, activate: nn.Module) -> None:
    torch.manual_seed(0)
    gate, up = torch.randn(5, 8, requires_grad=True), torch.randn(5, 8, requires_grad=True)
    given, wanted = Gated.apply(gate, up, name), activate(gate) * up
    torch.testing.assert_close(given, wanted)
    for one, other in zip(
        torch.autograd.grad(given.sin().sum(), (gate, up)),
        torch.autograd.grad(wanted.sin().sum(), (gate, up)),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", ["silu", "gelu"])
def test_the_layer_behind_a_gate_keeps_no_input_for_the_same_bits(
    name: str, dtype: torch.dtype, frozen: bool
) -> None:
    torch.manual_seed(0)
    gate, up = (torch.randn(1, 5, 8, dtype=dtype, requires_grad=True) for _ in range(2))
    weight = torch.randn(6, 8, dtype=dtype, requires_grad=not frozen)
    inputs, slopes = (gate, up, *(() if frozen else (weight,))), torch.randn(1, 5, 6, dtype=dtype)
    kept: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda one: kept.append(one) or one, lambda one: one):
        given = GatedOutput.apply(gate, up, weight, name)
    wanted = F.linear(Gated.apply(gate, up, name), weight)
    assert [one.data_ptr() for one in kept] == [one.data_ptr() for one in (gate, up, weight)]
    assert torch.equal(given, wanted)
    for one, other in zip(
        torch.autograd.grad(given, inputs, slopes), torch.autograd.grad(wanted, inputs, slopes), strict=True
    ):
        assert torch.equal(one, other)


@pytest.mark.parametrize("change", ["plain", "adapter", "bias", "hook"])
def test_a_layer_behind_a_gate_that_does_more_is_asked_itself(
    change: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    part = load(make_config(tmp_path_factory.getbasetemp() / "cache")).model.model.layers[0].mlp
    calls: list[int] = []
    if change == "adapter":
        part.down_proj = nn.Sequential(part.down_proj, nn.Dropout(0.0))
    elif change == "bias":
        part.down_proj.bias = nn.Parameter(torch.ones(part.down_proj.out_features))
    elif change == "hook":
        part.down_proj.register_forward_hook(lambda *_: calls.append(1))
    states = torch.randn(1, 3, part.gate_proj.in_features)
    wanted = part(states)
    before = len(calls)
    with fused(part):
        given = part(states)
    torch.testing.assert_close(given, wanted)
    assert ("GatedOutput" in str(given.grad_fn)) == (change == "plain")
    assert len(calls) - before == (3 if change == "hook" else 0)  # twice in the trial, and then


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_all_norms_and_gates_of_a_model_are_replaced_and_put_back(
    name: str, dtype: torch.dtype, tmp_path_factory: pytest.TempPathFactory
) -> None:
    model = load(make_config(tmp_path_factory.getbasetemp() / "cache", name), dtype).model
    norms = [part for part in model.modules() if "variance_epsilon" in vars(part)]
    with fused(model) as replaced:
        assert replaced == len(norms) + (2 if name == "tiny_llama" else 4)
        assert all("forward" in vars(part) for part in norms)
    assert not any("forward" in vars(part) for part in model.modules())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_norms_whose_weight_is_added_to_one(dtype: torch.dtype) -> None:
    from transformers.models.gemma3.modeling_gemma3 import Gemma3RMSNorm

    torch.manual_seed(0)
    module = Gemma3RMSNorm(32, 1e-6)
    nn.init.normal_(module.weight, std=0.3)
    module, states = module.to(dtype), torch.randn(1, ROWS + 9, 32, dtype=dtype, requires_grad=True)
    wanted = module(states)
    with fused(nn.Sequential(module)) as replaced:
        given = module(states)
    assert replaced == 1
    tolerance = 1e-5 if dtype == torch.float32 else 2e-2
    assert (given - wanted).abs().max() <= tolerance * wanted.abs().max()
    slopes = torch.randn_like(wanted)
    for one, other in zip(
        torch.autograd.grad(given, (states, module.weight), slopes),
        torch.autograd.grad(wanted, (states, module.weight), slopes),
        strict=True,
    ):
        assert one.dtype == dtype
        assert (one - other).abs().max() <= tolerance * other.abs().max()


class Other(nn.Module):
    """Looks like a norm, and is none."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.variance_epsilon = nn.Parameter(torch.ones(4)), 1e-5

    def forward(self, states: Tensor) -> Tensor:
        return states * self.weight


def test_what_computes_something_else_is_left_alone() -> None:
    with fused(
        nn.Sequential(Other(), nn.Linear(4, 4), nn.LayerNorm(4, bias=False), nn.RMSNorm(4))
    ) as replaced:
        assert replaced == 0


def test_a_failure_inside_puts_the_modules_back(tmp_path_factory: pytest.TempPathFactory) -> None:
    model = load(make_config(tmp_path_factory.getbasetemp() / "cache")).model
    with pytest.raises(KeyError), fused(model):
        raise KeyError
    assert not any("forward" in vars(part) for part in model.modules())


def test_compiling_is_undone(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder: Path = tmp_path_factory.getbasetemp() / "cache"
    model = load(make_config(folder)).model
    with compiled(model) as count:
        assert count == 7
        assert sum(part._compiled_call_impl is not None for part in model.modules()) == 7
    assert all(part._compiled_call_impl is None for part in model.modules())


@pytest.mark.parametrize(
    ("device", "count", "parts"), [("cpu", 2 * ROWS + 1, 3), ("meta", 2 * ROWS + 1, 1), ("meta", 1, 1)]
)
def test_only_processors_take_a_few_rows_at_a_time(device: str, count: int, parts: int) -> None:
    one, other = (torch.zeros(count, width, device=device) for width in (2, 3))
    found = list(_rows(one, other))
    assert len(found) == parts
    assert sum(len(part) for part, _ in found) == count
    assert {(first.shape[1], second.shape[1]) for first, second in found} == {(2, 3)}
    assert all(len(first) == len(second) for first, second in found)


def test_no_rows_are_one_part_anywhere() -> None:
    for device in ("cpu", "meta"):
        assert [len(part) for (part,) in _rows(torch.zeros(0, 2, device=device))] == [0]
