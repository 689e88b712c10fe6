"""Weights in the order in which a processor's bf16 kernels read them, for steps of few rows.

oneDNN brings a matrix of weights into that order within every product, which for a few rows takes longer than the
product itself. Here it is done once a test and layer, where answers are long enough for it to pay and the weights few
enough to be in memory twice. It changes no bit: a shape is taken so only where a trial gives the plain product's bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from instruct_ablate.model.torch_internals import in_kernel_order, takes_kernel_order, times_ordered
from instruct_ablate.model.transformers_internals import replaced

LARGEST = 2**30  # bytes of weights that may be in memory twice
SMALLEST = 2**16  # a matrix of fewer values is in order at once, and is too small for the same kernel
# Steps of the first batch that is longer before: short answers must not lose, and ordering takes what six or so save.
PLAIN = 16
FEW = 128  # with more rows the order costs little
TRIED = (1, 3, 4, 17, FEW)  # rows of trials: kernels differ below four


class OrderedWeights:
    """The linear layers of a model that gain by it, while its weights stay as they are; nothing is kept beyond it.

    It may serve batch after batch: once one was long enough, the next ones have ordered weights from the start.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model, self._steps = model, 0
        self._forwards: dict[nn.Module, Callable[[Tensor], Tensor]] | None = None

    def begin(self) -> OrderedWeights:
        """Count the steps of a new batch."""
        self._steps = 0
        return self

    @contextmanager
    def in_use(self, rows: int) -> Iterator[None]:
        """Let linear layers read ordered weights while a step of `rows` rows lasts; the first ones order none."""
        self._steps += 1
        if rows > FEW or (self._forwards is None and self._steps <= PLAIN):
            yield
            return
        if self._forwards is None:
            self._forwards = {layer: _ordered(layer) for layer in _chosen(self.model)}
        with replaced("forward", self._forwards):
            yield


def _chosen(model: nn.Module) -> list[nn.Linear]:
    """Return the layers to be ordered; none where they are too large in all."""
    layers = [layer for layer in model.modules() if type(layer) is nn.Linear and _may_gain(layer)]
    size = sum(layer.weight.numel() * layer.weight.element_size() for layer in layers)
    if size > LARGEST or not takes_kernel_order():
        return []
    threads = torch.get_num_threads()
    return [one for one in layers if _same(one.out_features, one.in_features, one.bias is not None, threads)]


def _may_gain(layer: nn.Linear) -> bool:
    weight = layer.weight
    known = weight.dtype == torch.bfloat16 and weight.device.type == "cpu" and "forward" not in vars(layer)
    return known and weight.numel() >= SMALLEST


def _ordered(layer: nn.Linear) -> Callable[[Tensor], Tensor]:
    """Return the layer's product, whose weight is ordered when it is first taken: an encoder's never is."""
    ordered: Tensor | None = None

    def forward(states: Tensor) -> Tensor:
        nonlocal ordered
        if ordered is None:
            ordered = in_kernel_order(layer.weight)
        return times_ordered(states, ordered, layer.bias)

    return forward


@lru_cache(maxsize=256)
def _same(outputs: int, inputs: int, biased: bool, threads: int) -> bool:
    """Whether both ways give the same bits, for sums that are nothing but what rounding leaves: each order shows."""
    # A generator of its own: a trial must move nobody's draws.
    draw = torch.Generator().manual_seed(0)
    # `threads` is of the cache's key alone: another number of them may take other kernels.
    half = inputs // 2
    places = torch.randperm(2 * half, generator=draw)
    weight = torch.zeros(min(outputs, 1024), inputs)
    states = torch.zeros(FEW, inputs)
    weight[:, places] = torch.rand(len(weight), half, generator=draw).repeat(1, 2)
    one = torch.randn(FEW, half, generator=draw)
    states[:, places] = torch.cat([one, -one], 1)
    low = weight.bfloat16().repeat(-(-outputs // len(weight)), 1)[:outputs].contiguous()
    bias = torch.full((outputs,), 1e-6).bfloat16() if biased else None
    try:
        ordered = in_kernel_order(low)
    except RuntimeError:  # a kernel that this processor's build lacks
        return False
    return all(
        torch.equal(F.linear(few, low, bias), times_ordered(few, ordered, bias))
        for few in (states[:rows].bfloat16() for rows in TRIED)
    )
