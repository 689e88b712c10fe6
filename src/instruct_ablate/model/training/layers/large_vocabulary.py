"""Output layers and embeddings: the gradient of a vocabulary's matrix is added where it is summed, not made beside it.

Autograd makes the gradient of a weight anew for every use of it, before it is added: of a tied matrix once for the
logits of each piece and once for each look-up, dense, though a batch's words are few of its rows. Here all add theirs
to the sum itself: look-ups the rows of their words, logits slice by slice, and those exist for a slice of the
vocabulary at a time (as the loss of Liger kernels, Hsu et al. 2024, has them by rows).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from instruct_ablate.model.training.layers.output_layer import OutputLayer
from instruct_ablate.model.transformers_internals import replaced

LARGE = 2**22  # numbers of a weight from which on this is worth its while; below, autograd sums
LOGITS = 256 * 49_152  # numbers of logits that exist at a time: 48 MiB in fp32
SLICE = 2**21  # numbers of one product for a gradient on a CPU: its cache holds them until they are added

MasterOf = Callable[
    [nn.Parameter], nn.Parameter | None
]  # where a weight's gradients are summed, if that is known


def rows_at_once(vocabulary: int, most: int) -> int:
    """Return for how many target positions all logits may exist at a time."""
    return max(1, min(most, LOGITS // vocabulary))


def losses_into(states: Tensor, labels: Tensor, head: OutputLayer, master: nn.Parameter) -> Tensor:
    """Return the cross-entropy of labels, (targets,) in fp32; the weight's gradient is added to its master's."""
    weight: Any = head.linear.weight
    result: Tensor = _Losses.apply(states, weight, labels, head, master)  # type: ignore[no-untyped-call]
    return result


def master_of_output(head: OutputLayer, master_of: MasterOf) -> nn.Parameter | None:
    """Return where the gradient of an output layer can be added; None for small and for other than plain layers."""
    layer = head.linear
    plain = type(layer) is nn.Linear and layer.bias is None
    return _master(layer.weight, master_of) if plain else None  # type: ignore[arg-type]


@contextmanager
def direct_embeddings(model: Any, master_of: MasterOf) -> Iterator[None]:
    """Let the large embeddings of a model add their gradients to their masters' while this lasts.

    An encoder and a decoder may have layers of their own with one weight (T5).
    """
    forwards: dict[nn.Module, Callable[..., Any]] = {}
    for layer in model.modules():
        plain = isinstance(layer, nn.Embedding) and layer.max_norm is None and not layer.scale_grad_by_freq
        master = _master(layer.weight, master_of) if plain else None
        if master is not None:
            forwards[layer] = _direct(layer, master)
    with replaced("forward", forwards):
        yield


def _direct(layer: nn.Embedding, master: nn.Parameter) -> Callable[..., Any]:
    forward, mode = layer.forward, _Embeddings(layer, master)

    def direct(*given: Any, **keywords: Any) -> Any:  # of positions: what some families find them by
        with mode:  # the layer's own forward pass may scale what it looks up
            return forward(*given, **keywords)

    return direct


def _master(weight: nn.Parameter, master_of: MasterOf) -> nn.Parameter | None:
    return master_of(weight) if weight.numel() >= LARGE and weight.requires_grad else None


def _sum_of(master: nn.Parameter) -> Tensor:
    """Return the gradient that a master has so far."""
    if master.grad is None:
        master.grad = torch.zeros_like(master)
    return master.grad


class _Losses(torch.autograd.Function):
    """Cross-entropy by slices of the vocabulary; few logits are kept for the backward pass, many made again."""

    @staticmethod
    def forward(
        ctx: Any, states: Tensor, weight: Tensor, labels: Tensor, head: OutputLayer, master: nn.Parameter
    ) -> Tensor:
        totals = torch.full((len(states),), -torch.inf, device=states.device)
        chosen = torch.zeros_like(totals)
        few = len(states) * len(weight) <= LOGITS
        kept = states.new_empty(len(states), len(weight)) if few else None
        for first, last in _slices(states, weight):
            products = F.linear(states, weight[first:last])
            if kept is not None:
                kept[:, first:last] = products
            logits = head.bounded(products).float()
            totals = torch.logaddexp(totals, logits.logsumexp(-1))
            rows = _rows_of(labels, first, last)
            chosen[rows] = logits[rows, labels[rows] - first]
        ctx.save_for_backward(states, weight, labels, totals)
        # Not among the saved tensors: autograd would refuse that the backward pass writes over it.
        ctx.head, ctx.master, ctx.kept = head, master, kept
        return totals - chosen

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        states, weight, labels, totals = ctx.saved_tensors
        kept, ctx.kept = ctx.kept, None  # it is written over
        first_of_all = ctx.master.grad is None
        # The first gradient of a step is written slice by slice: there are no zeros to make and add to.
        of_weight = torch.empty_like(ctx.master) if first_of_all else ctx.master.grad
        # A sum over slices, and so in fp32.
        of_states = torch.zeros_like(states, dtype=torch.float32) if kept is None else None
        for first, last in _slices(states, weight):
            products = F.linear(states, weight[first:last]) if kept is None else kept[:, first:last]
            logits = ctx.head.bounded(products).float()
            growth = ctx.head.growth(logits)
            slopes = logits.sub_(totals[:, None]).exp_()
            rows = _rows_of(labels, first, last)
            slopes[rows, labels[rows] - first] -= 1
            slopes.mul_(gradients[0][:, None]).mul_(growth)
            low = slopes.to(states.dtype) if kept is None else products.copy_(slopes)
            if of_states is not None:
                _add_product(of_states, low, weight[first:last])
            if first_of_all:
                of_weight[first:last] = torch.mm(low.T, states)
            else:
                _add_product(of_weight[first:last], low.T, states)
        ctx.master.grad = of_weight
        slope = torch.mm(kept, weight) if of_states is None else of_states.to(states.dtype)
        return slope, None, None, None, None


def _slices(states: Tensor, weight: Tensor) -> Iterator[tuple[int, int]]:
    width = max(1, LOGITS // max(1, len(states)))
    if weight.device.type == "cpu":
        width = min(width, max(1, SLICE // weight.shape[1]))
    for first in range(0, len(weight), width):
        yield first, min(first + width, len(weight))


def _rows_of(labels: Tensor, first: int, last: int) -> Tensor:
    """Return the rows whose label lies in a slice."""
    return ((labels >= first) & (labels < last)).nonzero()[:, 0]


def _add_product(total: Tensor, one: Tensor, other: Tensor) -> None:
    """Add a product to a sum in fp32; where factors are in lower precision, it is made in theirs."""
    if one.dtype == total.dtype:
        total.addmm_(one, other)
    else:
        total.add_(torch.mm(one, other))


class _Embeddings(TorchFunctionMode):
    """Look-ups in one layer's weight go through `_LookUp`, all else is as it is."""

    def __init__(self, layer: nn.Embedding, master: nn.Parameter) -> None:
        super().__init__()
        self.layer, self.master = layer, master

    def __torch_function__(self, function: Any, types: Any, given: Any = (), keywords: Any = None) -> Any:
        if function is F.embedding and given[1] is self.layer.weight:
            padding = self.layer.padding_idx
            return _LookUp.apply(given[0], given[1], padding, self.master)  # type: ignore[no-untyped-call]
        return function(*given, **(keywords or {}))


class _LookUp(torch.autograd.Function):
    """Rows of a weight; their gradients are added to its master's, that of padding left out."""

    @staticmethod
    def forward(ctx: Any, ids: Tensor, weight: Tensor, padding: int | None, master: nn.Parameter) -> Tensor:
        ctx.save_for_backward(ids)
        ctx.padding, ctx.master = padding, master
        return F.embedding(ids, weight)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (ids,) = ctx.saved_tensors
        slopes = gradients[0].reshape(-1, gradients[0].shape[-1]).to(ctx.master.dtype)
        flat = ids.reshape(-1)
        if ctx.padding is not None:
            slopes = slopes.masked_fill((flat == ctx.padding)[:, None], 0.0)
        _sum_of(ctx.master).index_add_(0, flat, slopes)
        return None, None, None, None
