"""One layer's attention on a GPU: all segments at once against a kernel call a segment."""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch

from benchmarks import machine
from instruct_ablate.data.micro_batch import NO_PARENT, Packed
from instruct_ablate.model.attention_scores import Scores
from instruct_ablate.model.cuda_attention import takes_whole_batches
from instruct_ablate.model.modes import shapes_of_any_kind
from instruct_ablate.model.training.layers.decoder_attention import PackedLayout
from instruct_ablate.model.training.layers.t5_attention import T5Layout

Results = Iterator[tuple[str, dict[str, Any]]]
BF16 = torch.bfloat16


def attention(given: argparse.Namespace) -> Results:
    """One layer's attention, forward and backward: all segments at once against a kernel call a segment."""
    tokens = 512 if given.small else 16384
    draw = random.Random(0)
    lengths: list[int] = []
    while sum(lengths) < tokens:
        lengths.append(min(1024, int(250 * draw.lognormvariate(0, 0.5)) // (16 if given.small else 1)))
    tree = [NO_PARENT if place % 8 == 0 else place // 8 * 8 for place in range(len(lengths))]
    shapes = {"smollm2_135m": (9, 3, 64), "gemma3_270m": (4, 1, 256), "qwen3_0.6b": (16, 8, 128)}
    for name, heads in shapes.items():
        for how, parents, window in (
            ("packed", [NO_PARENT] * len(lengths), None),
            ("packed, window of 512", [NO_PARENT] * len(lengths), 512),
            ("grouped", tree, None),
        ):
            layout = PackedLayout(_packed(lengths, parents, given.device))
            scores = Scores(heads[2] ** -0.5, window)
            ways = {"once": layout.attend, "by segment": partial(_by_segment, layout)}
            yield f"{name}, {how}", _timed_attention(given, ways, heads, sum(lengths), (scores,))
    packed = _packed(lengths, [NO_PARENT] * len(lengths), given.device)
    t5 = T5Layout(packed, packed, causal=False)
    bias = torch.randn(16, max(lengths), max(lengths), device=given.device, requires_grad=True)
    ways = {"once": t5.attend, "by segment": t5.by_sequence}
    yield "t5_large, with its bias", _timed_attention(given, ways, (16, 16, 64), sum(lengths), (bias,))


def _by_segment(layout: PackedLayout, *given: Any) -> torch.Tensor:
    return layout.by_segment(*given).transpose(1, 2)


def _packed(lengths: list[int], parents: list[int], device: str) -> Packed:
    offsets = torch.tensor([0, *lengths]).cumsum(0).int()
    places = torch.cat([torch.arange(length) for length in lengths])
    return Packed(places, places, offsets, tuple(lengths), tuple(parents)).to(device)


def _timed_attention(
    given: argparse.Namespace,
    ways: dict[str, Callable[..., torch.Tensor]],
    heads: tuple[int, int, int],
    tokens: int,
    more: tuple[Any, ...],
) -> dict[str, Any]:
    """Return each way's milliseconds, and how far it is from the other in values and gradients."""
    sizes = [(count, tokens, heads[2]) for count in (heads[0], heads[1], heads[1])]
    states = [torch.randn(1, *size, device=given.device, dtype=BF16, requires_grad=True) for size in sizes]
    found: dict[str, Any] = {"FlashAttention": takes_whole_batches(states[0], states[1])}
    leaves = [*states, *(one for one in more if isinstance(one, torch.Tensor))]
    results = []
    for way, attend in ways.items():

        def run(attend: Any = attend) -> torch.Tensor:
            output: torch.Tensor = attend(*states, *more)
            gradients = torch.autograd.grad(output.float().square().sum(), leaves)
            return torch.cat([part.float().flatten() for part in (output, *gradients)])

        try:
            with shapes_of_any_kind():  # as in training
                results.append(run())
                seconds = machine.median_time(run, given.device, 1 if given.small else 5)
            found[f"{way}, ms"] = round(1e3 * seconds, 3)
        except Exception as error:
            found["error"] = f"{way}: {type(error).__name__}: {error}"[:500]
    if len(results) == len(ways):
        apart = float((results[0] - results[1]).norm().detach() / results[1].norm().detach())
        found |= {"apart": apart, "equal": apart < 0.1}
    return found
