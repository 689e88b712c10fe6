"""Norms and gated activations that keep less for the backward pass, and on processors stay in the cache.

Written as chains of tensor operations, as in transformers, an RMSNorm keeps three fp32 copies of its input and a gated
feed-forward layer four of its inner states. Here the norm keeps its input and one number a row, the gate its two
inputs, and a plain layer behind it nothing; the rest is computed again. A module is replaced only where a trial shows
that it computes the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from instruct_ablate.model.torch_internals import gelu_slopes, listened_to, silu_slopes, uncompile
from instruct_ablate.model.training.layers.adapted_layers import learning_forward
from instruct_ablate.model.transformers_internals import replaced

ROWS = 256  # on processors: few enough rows for a chain of operations to stay in the cache


class RMSNorm(torch.autograd.Function):
    """Root mean square norm (Zhang and Sennrich 2019), statistics in fp32."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        """Return `weight` * states / sqrt(mean(states²) + epsilon), rounded where transformers rounds."""
        flat = states.reshape(-1, states.shape[-1])
        output = torch.empty_like(flat)
        inverse = torch.empty(len(flat), 1, dtype=torch.float32, device=flat.device)
        for part, into, scale in _rows(flat, output, inverse):
            wide = part.float()
            torch.mean(wide * wide, -1, keepdim=True, out=scale)
            scale.add_(epsilon).rsqrt_()
            # Rounded here, and then multiplied: the order of transformers' norms.
            into.copy_(wide * scale)
            into.mul_(weight)
        ctx.save_for_backward(states, weight, inverse)
        return output.view_as(states)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        """Return the gradients of states and weight."""
        states, weight, inverse = ctx.saved_tensors
        flat = states.reshape(-1, states.shape[-1])
        slopes = gradients[0].reshape(flat.shape)
        output, wide_weight = torch.empty_like(flat), weight.float()
        of_weight = torch.zeros_like(wide_weight)
        for part, slope, scale, into in _rows(flat, slopes, inverse, output):
            # A copy in fp32, too: it is written over below, and the gradient is the caller's.
            normed, wide = part * scale, slope.to(torch.float32, copy=True)
            product = wide * normed
            of_weight += product.sum(0)
            mean = torch.mv(product, wide_weight).div_(flat.shape[-1])[:, None]
            into.copy_(wide.mul_(wide_weight).addcmul_(normed, mean, value=-1).mul_(scale))
        return output.view_as(states), of_weight.to(weight.dtype), None


class Gated(torch.autograd.Function):
    """activation(gate) * up, which keeps gate and up alone."""

    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor, activation: str) -> Tensor:
        """Return the product."""
        ctx.save_for_backward(gate, up)
        ctx.activation = activation
        return ACTIVATIONS[activation][0](gate).mul_(up)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        """Return the gradients of gate and up."""
        gate, up = ctx.saved_tensors
        activate, slope = ACTIVATIONS[ctx.activation]
        return slope(gradients[0] * up, gate), activate(gate).mul_(gradients[0]), None


class GatedOutput(torch.autograd.Function):
    """A linear layer on activation(gate) * up, which keeps gate and up: the layer's input is made anew."""

    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor, weight: Tensor, activation: str) -> Tensor:
        """Return what a linear layer with this weight gives."""
        ctx.save_for_backward(gate, up, weight)
        ctx.activation = activation
        return F.linear(ACTIVATIONS[activation][0](gate).mul_(up), weight)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        """Return the gradients of gate, up and weight."""
        gate, up, weight = ctx.saved_tensors
        activate, slope = ACTIVATIONS[ctx.activation]
        active, of_weight = activate(gate), None
        # Before `active` is written over.
        if ctx.needs_input_grad[2]:
            of_weight = gradients[0].flatten(0, -2).T @ (active * up).flatten(0, -2)
        slopes = gradients[0] @ weight
        return slope(slopes * up, gate), active.mul_(slopes), of_weight, None


ACTIVATIONS: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor, Tensor], Tensor]]] = {
    "silu": (F.silu, silu_slopes),
    "gelu": (
        lambda states: F.gelu(states, approximate="tanh"),
        gelu_slopes,
    ),
}
EPSILONS = ("variance_epsilon", "eps")  # as families name what a norm adds to the mean square
# How families name gate, up and output of their feed-forward layers.
GATES = (("gate_proj", "up_proj", "down_proj"), ("wi_0", "wi_1", "wo"))


@contextmanager
def fused(model: nn.Module, dropping: bool = False) -> Iterator[int]:
    """Replace norms, gated and adapted layers of `model` while this lasts; gives the number of modules replaced.

    With `dropping`, layers that drop something within stay as they are.
    """
    chosen: dict[type, Callable[[Any], Callable[[Tensor], Tensor]] | None] = {}
    forwards: dict[nn.Module, Callable[[Tensor], Tensor]] = {}
    for module in model.modules():
        if type(module) not in chosen:
            chosen[type(module)] = _replacement(module)
        make = chosen[type(module)]
        drops = dropping and any(isinstance(child, nn.Dropout) for child in module.children())
        if make is not None and not drops:
            forwards[module] = make(module)
        elif (learning := learning_forward(module)) is not None:
            forwards[module] = learning
    with replaced("forward", forwards):
        yield len(forwards)


@contextmanager
def compiled(model: nn.Module) -> Iterator[int]:
    """Let `torch.compile` do the same to norms and feed-forward layers instead, for batches of any length."""
    chosen = [part for part in model.modules() if is_norm(part) or _gate_names(part) is not None]
    for module in chosen:
        module.compile(dynamic=True)
    try:
        yield len(chosen)
    finally:
        for module in chosen:
            uncompile(module)


def is_norm(module: nn.Module) -> bool:
    """Whether a module is a norm with a weight and no bias, of the kinds that are replaced here."""
    parameters = [name for name, _ in module.named_parameters()]
    return _epsilon(module) is not None and parameters == ["weight"]


def _replacement(module: Any) -> Callable[[Any], Callable[[Tensor], Tensor]] | None:
    """Return what makes another forward for modules of this one's class, or None where they stay as they are."""
    if is_norm(module):
        makes = (_norm, _norm_about_one)
        return next((make for make in makes if _same(module, make(module), len(module.weight))), None)
    names = _gate_names(module)
    if names is None:
        return None
    for activation in ACTIVATIONS:
        make = _gated(names, activation)
        if _same(module, make(module), getattr(module, names[0]).in_features):
            return make
    return None


def _norm(module: Any) -> Callable[[Tensor], Tensor]:
    epsilon = _epsilon(module)
    return lambda states: RMSNorm.apply(states, module.weight, epsilon)  # type: ignore[no-untyped-call]


def _norm_about_one(module: Any) -> Callable[[Tensor], Tensor]:
    """Return Gemma's norm, whose weight is what is added to 1; that sum would lose its last bits in bf16."""
    epsilon = _epsilon(module)
    return lambda states: RMSNorm.apply(states, 1.0 + module.weight.float(), epsilon)  # type: ignore[no-untyped-call]


def _epsilon(module: nn.Module) -> float | None:
    given = (vars(module).get(name) for name in EPSILONS)
    return next((value for value in given if isinstance(value, float)), None)


def _gate_names(module: nn.Module) -> tuple[str, str, str] | None:
    """Return the names of gate, up and output layer where a module has all three."""
    children = dict(module.named_children())
    return next((names for names in GATES if all(name in children for name in names)), None)


def _gated(names: tuple[str, str, str], activation: str) -> Callable[[Any], Callable[[Tensor], Tensor]]:
    def make(module: Any) -> Callable[[Tensor], Tensor]:
        gate, up, out = (getattr(module, name) for name in names)

        def forward(states: Tensor) -> Any:
            if _is_plain(out):
                return GatedOutput.apply(gate(states), up(states), out.weight, activation)  # type: ignore[no-untyped-call]
            return out(Gated.apply(gate(states), up(states), activation))  # type: ignore[no-untyped-call]

        return forward

    return make


def _is_plain(layer: Any) -> bool:
    """Whether a layer is a product with its weight and nothing else: no adapter, no bias, nobody who listens."""
    plain = type(layer) is nn.Linear and layer.bias is None and "forward" not in vars(layer)
    return plain and not listened_to(layer)


@torch.no_grad()
def _same(module: nn.Module, other: Callable[[Tensor], Tensor], width: int) -> bool:
    """Whether both compute the same, on one trial in fp32 values of the module's own precision."""
    weight = next(module.parameters())
    trial = torch.linspace(-3, 3, 2 * width, device=weight.device).view(2, width).to(weight.dtype)
    wanted, given = module(trial), other(trial)
    bound = 1e-5 if weight.dtype == torch.float32 else 2e-2
    return bool((wanted - given).abs().max() <= bound * wanted.abs().max())


def _rows(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Cut tensors into parts of a few rows on processors; elsewhere one part has all."""
    count = ROWS if tensors[0].device.type == "cpu" else max(1, len(tensors[0]))
    return zip(*(torch.split(tensor, count) for tensor in tensors), strict=True)
