"""Linear layers with LoRA's adapters beside them, in steps that learn: one function in place of peft's chain.

peft widens a layer's input to the adapters' fp32 and keeps that copy for the backward pass, and what adapters give is
scaled, widened, added and rounded in passes over the whole output. Here the adapters' products have the precision of
the layer's own (as in full tuning, whose masters are fp32, too) and are added within the product, and of the input the
model's own states are kept, once for all layers that read them. In fp32 both give the same up to rounding; in bf16
gradients of thirty layers lie as far from those in fp32 as peft's (3 %), of two layers up to twice as far (0.4 %).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from instruct_ablate.model.cuda_attention import moved
from instruct_ablate.model.torch_internals import listened_to

WAY = "with LoRA's adapters within the layers' own products"
Part = tuple[int, bool]  # how many rows, and whether they have an adapter


class PartByPart:
    """Products of one part after the other, on its own rows as they lie."""

    def __init__(self, parts: Sequence[Part]) -> None:
        ends = list(accumulate(length for length, _ in parts))
        self._spans = [
            (end - length, end) for end, (length, adapted) in zip(ends, parts, strict=True) if adapted
        ]

    def pieces(self, rows: Tensor) -> list[Tensor]:
        """Return views of (rows, width): those (own, width) of each part that has an adapter."""
        return [rows[first:last] for first, last in self._spans]

    def put_back(self, rows: Tensor, pieces: Sequence[Tensor]) -> None:
        """Write pieces into the rows that they are of; views are there already."""

    def stacked(self, matrices: Sequence[Tensor]) -> Sequence[Tensor]:
        """Return the adapters' matrices (height, width), one for each piece."""
        return matrices

    def unstacked(self, products: Sequence[Tensor], like: Sequence[Tensor]) -> Sequence[Tensor]:
        """Return what is of each adapter, of the sizes of `like`."""
        return products


class AtOnce:
    """Products of all parts by one call: rows laid side by side up to the longest part, adapters to the greatest rank.

    `there` says which row stands at each place, -1: none and zeros; `back`, where each row stands.
    """

    def __init__(self, there: Tensor, back: Tensor, count: int) -> None:
        self._there, self._back, self._count = there, back, count

    def pieces(self, rows: Tensor) -> list[Tensor]:
        """Return a copy of (rows, width) as one piece (parts, longest, width)."""
        return [moved(rows, self._there, self._back).view(self._count, -1, rows.shape[-1])]

    def put_back(self, rows: Tensor, pieces: Sequence[Tensor]) -> None:
        """Write a piece into the rows that it is of."""
        rows.copy_(moved(pieces[0].flatten(0, 1), self._back, self._there))

    def stacked(self, matrices: Sequence[Tensor]) -> Sequence[Tensor]:
        """Return the adapters' matrices as one (parts, height, width), zeros beyond each one's own."""
        high, wide = (max(one.shape[side] for one in matrices) for side in (0, 1))
        return [
            torch.stack([F.pad(one, (0, wide - one.shape[1], 0, high - one.shape[0])) for one in matrices])
        ]

    def unstacked(self, products: Sequence[Tensor], like: Sequence[Tensor]) -> Sequence[Tensor]:
        """Return what is of each adapter, of the sizes of `like`."""
        return [one[: own.shape[0], : own.shape[1]] for one, own in zip(products[0], like, strict=True)]


class Adapted(torch.autograd.Function):
    """A frozen linear layer on rows laid end to end, part after part, each with an adapter of its own or none.

    How rows are laid for the products is the device's matter; in which precision they are made, scaled, added and
    rounded is not: it stands here once.
    """

    @staticmethod
    def forward(
        ctx: Any,
        states: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        layout: PartByPart | AtOnce,
        scales: Sequence[float],
        *matrices: Tensor,
    ) -> Tensor:
        """Return (..., out) of states (..., in).

        `scales`: what the output of each part's adapter is multiplied by; `matrices`: (rank, in) and (out, rank) of
        each, in the parts' order.
        """
        output = F.linear(states, weight, bias)
        rows, sums = states.reshape(-1, states.shape[-1]), output.view(-1, output.shape[-1])
        downs, ups = _prepared(layout, scales, matrices, rows.dtype)
        inner, pieces = [], layout.pieces(sums)
        for own, sum_, down, up in zip(layout.pieces(rows), pieces, downs, ups, strict=True):
            inner.append(own @ down.mT)
            _add(sum_, inner[-1], up.mT)
        layout.put_back(sums, pieces)
        ctx.save_for_backward(states, weight, *inner, *matrices)
        ctx.layout, ctx.scales = layout, scales
        return output

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        """Return the gradients of states and matrices."""
        layout, scales = ctx.layout, ctx.scales
        states, weight, *rest = ctx.saved_tensors
        count = 2 * len(scales)
        inner, matrices = rest[:-count], rest[-count:]
        rows, slopes = states.reshape(-1, states.shape[-1]), gradients[0].reshape(-1, len(weight))
        back = slopes @ weight if ctx.needs_input_grad[0] else None
        downs, ups = _prepared(layout, scales, matrices, rows.dtype)
        sums = layout.pieces(back) if back is not None else [None] * len(inner)
        of_downs, of_ups = [], []
        parts = zip(layout.pieces(rows), layout.pieces(slopes), sums, inner, downs, ups, strict=True)
        for own, slope, sum_, narrow, down, up in parts:
            of_narrow = slope @ up
            of_downs.append(of_narrow.mT @ own)
            of_ups.append(slope.mT @ narrow)
            if sum_ is not None:
                _add(sum_, of_narrow, down)
        if back is not None:
            layout.put_back(back, sums)
        found: list[Tensor] = []
        pairs = matrices[::2], matrices[1::2]
        of_both = map(layout.unstacked, (of_downs, of_ups), pairs)
        for of_down, of_up, scale, down, up in zip(*of_both, scales, *pairs, strict=True):
            # The product took `up` times its scale, so that its own gradient has the scale once more.
            found += [of_down.to(down.dtype), of_up.to(up.dtype).mul_(scale)]
        return None if back is None else back.view_as(states), None, None, None, None, *found


def _prepared(
    layout: PartByPart | AtOnce, scales: Sequence[float], matrices: Sequence[Tensor], dtype: torch.dtype
) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
    """Return the adapters' matrices as products take them: in the states' precision, the scale within the second."""
    # Scaled in the matrices' own precision and rounded then: one rounding, where the output's would be two.
    ups = [(up * scale).to(dtype) for up, scale in zip(matrices[1::2], scales, strict=True)]
    return layout.stacked([down.to(dtype) for down in matrices[::2]]), layout.stacked(ups)


def _add(sums: Tensor, one: Tensor, other: Tensor) -> None:
    """Add a product, or several, to sums in place: within the product, which rounds once."""
    sums.addmm_(one, other) if sums.dim() == 2 else sums.baddbmm_(one, other)


def with_adapters(
    base: nn.Linear,
    states: Tensor,
    layers: Sequence[tuple[int, Any | None]],
    side_by_side: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """Return (..., out) of states (..., in) by a layer and peft's layers beside it, each for so many of the rows.

    `side_by_side`: which row stands at each place of the parts laid side by side, and where each row stands; it has
    the products of all parts made at once, and each part needs an adapter.
    """
    scales, matrices = list[float](), list[Tensor]()
    for _, layer in layers:
        if layer is not None:
            (name,) = layer.active_adapters
            scales.append(float(layer.scaling[name]))
            matrices += [layer.lora_A[name].weight, layer.lora_B[name].weight]
    if side_by_side is None:
        layout: PartByPart | AtOnce = PartByPart([(length, layer is not None) for length, layer in layers])
    else:
        assert len(scales) == len(layers)
        layout = AtOnce(*side_by_side, len(layers))
    result: Tensor = Adapted.apply(states, base.weight, base.bias, layout, scales, *matrices)  # type: ignore[no-untyped-call]
    return result


def is_plain(layer: Any) -> bool:
    """Whether a layer is peft's on a frozen linear one, and gives B(A(x)) times a number beside it, and no more."""
    from peft.tuners.lora.layer import Linear

    if type(layer) is not Linear or type(base := layer.get_base_layer()) is not nn.Linear:
        return False
    if layer.merged or len(layer.active_adapters) != 1 or any(w.requires_grad for w in base.parameters()):
        return False
    (name,) = layer.active_adapters
    if name not in layer.lora_A or name in layer.lora_variant:  # another adapter's layer; DoRA and its like
        return False
    down, up = layer.lora_A[name], layer.lora_B[name]
    still = isinstance(layer.lora_dropout[name], nn.Identity)
    plain = type(down) is nn.Linear and type(up) is nn.Linear and down.bias is None and up.bias is None
    # Weights are read here past the modules: who listens to one, or stands in for it, would not be asked.
    return still and plain and not any("forward" in vars(one) or listened_to(one) for one in (base, down, up))


def learning_forward(layer: Any) -> Callable[..., Tensor] | None:
    """Return what an adapted layer does in a step that learns, None where it stays as it is; else it does as before.

    fp16 stays with peft: gradients of adapters have its range there, and fp16's would need a scale of their own.
    """
    return Learning(layer, layer.forward) if is_plain(layer) else None


@dataclass(frozen=True, slots=True, eq=False)
class Learning:
    """An adapted layer's forward pass; `former` is the one that it had."""

    layer: Any
    former: Callable[..., Tensor]

    def __call__(self, states: Tensor, *given: Any, **named: Any) -> Tensor:
        """Return (..., out) of states (..., in)."""
        layer = self.layer
        base = layer.get_base_layer()
        alike = states.dtype == base.weight.dtype and states.dtype != torch.float16
        if (
            given
            or named
            or not torch.is_grad_enabled()
            or not alike
            or layer.disable_adapters
            or layer.merged
        ):
            return self.former(states, *given, **named)
        return with_adapters(base, states, [(states.numel() // states.shape[-1], layer)])


def way_of(model: nn.Module) -> str:
    """Say for a note how adapters are computed while a model trains; empty where it has none, or as peft has them."""
    ours = (vars(part).get("forward") for part in model.modules())
    precisions = {one.layer.get_base_layer().weight.dtype for one in ours if isinstance(one, Learning)}
    return WAY if precisions - {torch.float16} else ""
