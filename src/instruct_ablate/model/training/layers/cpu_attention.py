"""Attention by blocks of queries, for processors: only the keys a block may see are multiplied, no score is kept.

PyTorch's own kernel for processors does not use their bf16 units. Here every product is a matrix product that does,
query heads that share keys (grouped-query attention) stand below each other in it, and the backward pass computes
the scores again, as FlashAttention does (Dao et al. 2022), so that no square of scores outlives its block.

Keys are laid out anew for products with queries, values for those with the output's gradients: oneDNN's bf16 kernels
take a second factor that lies transposed at half the speed, for the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from instruct_ablate.model.attention_scores import Scores
from instruct_ablate.model.training.layers.dropout_masks import Site

ROWS = 64  # queries of a block: few enough that a causal square wastes little
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Block:
    """Queries `first` to `last`, and the spans of keys that all of them see.

    With `causal`, the last span ends at `last` and each query sees of it only what stands before or at itself, and of
    all spans but the first `free` keys, one after the other, only what is less than `window` places away. `place` is
    the first query's place in its segment, for the position bias; `skipped` is how many keys of its sequence before
    those of the block no query of it sees. Without `causal`, `behind` says that each query sees of the one span, in
    which the queries stand too, what is less than `window` places before and less than `behind` places behind it.
    """

    first: int
    last: int
    spans: tuple[Span, ...]
    causal: bool = True
    place: int = 0
    skipped: int = 0
    window: int | None = None
    free: int = 0
    behind: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """All blocks of a packed batch, how their scores come about, and which weights are dropped.

    `low`: the bias in the products' precision, where layers that share it have made that once for all.
    """

    blocks: Sequence[Block]
    scores: Scores
    dropout: Site | None = None
    low: Tensor | None = None


def blocks(
    queries: Span,
    before: Sequence[Span],
    causal: bool,
    window: int | None = None,
    part: Span | None = None,
    free: bool = False,
) -> Iterator[Block]:
    """Cut a sequence's queries, or a part of them, into blocks that see `before` and, if `causal`, their own past.

    A `window`, which only causal queries have, leaves out what none of a block's queries sees; with `free` it holds for
    their own past alone, and nothing is left out.
    """
    start, length = queries[0], sum(end - begin for begin, end in before)
    begin, stop = part or queries
    beyond = length if free else 0
    for first in range(begin, stop, ROWS):
        last = min(first + ROWS, stop)
        spans = (*before, (start, last)) if causal else tuple(before)
        # Where the window reaches over all that a block sees, it hides nothing and needs no mask.
        narrow = window if window is not None and length - beyond + last - start > window else None
        skipped = 0 if narrow is None or free else max(0, length + first - start + 1 - narrow)
        seen = tuple(_without(spans, skipped))
        yield Block(first, last, seen, causal, first - start, skipped, narrow, beyond)


def _without(spans: Sequence[Span], skipped: int) -> Iterator[Span]:
    """Yield the spans without their first `skipped` keys."""
    for first, last in spans:
        if first + skipped < last:
            yield first + skipped, last
        skipped = max(0, skipped - (last - first))


class BlockAttention(torch.autograd.Function):
    """Attention (1, heads, tokens, dim) after a plan; `bias` (heads, length, length) is added to scaled scores."""

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        bias: Tensor | None,
        plan: Plan,
    ) -> Tensor:
        """Return (1, tokens, heads, dim), the order in which the next linear layer reads it."""
        # The bias is among what is saved below, which ends with the backward pass; a plan might not.
        ctx.plan, ctx.group = replace(plan, low=None), query.shape[1] // key.shape[1]
        folded, keys, values = _fold(query, ctx.group), key[0].contiguous(), value[0].contiguous()
        before, scores_of = _before_products(plan.scores, query.dtype)
        folded = folded if before == 1.0 else folded * before
        low = None if bias is None else lowered(bias, query.dtype) if plan.low is None else plan.low
        output, keys_across = torch.empty_like(folded), keys.mT.contiguous()
        for block in plan.blocks:
            rows = slice(block.first * ctx.group, block.last * ctx.group)
            scores = scores_of.of_products(torch.bmm(folded[:, rows], _cut(keys_across, block, 2)))
            weights = _weights(scores, low, block, ctx.group)
            if plan.dropout is not None:
                weights = _dropped(weights, plan.dropout, block)
            output[:, rows] = torch.bmm(weights, _cut(values, block))
        result = _unfold(output, ctx.group)
        ctx.with_bias = bias is not None and bias.requires_grad
        ctx.save_for_backward(folded, keys, values, result, *(() if low is None else (low,)))
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """Return the gradients of query, key, value and bias."""
        query, key, value, output, *rest = ctx.saved_tensors
        low = rest[0] if rest else None
        slopes = _fold(gradients[0].transpose(1, 2), ctx.group)
        # What softmax's gradient takes off, from outputs as FlashAttention has it: fewer numbers a row than weights.
        delta = (gradients[0].float() * output.float()).sum(-1, keepdim=True)
        delta = _fold(delta.transpose(1, 2), ctx.group).to(query.dtype)
        of_query = torch.empty_like(query)
        keys_across, values_across = key.mT.contiguous(), value.mT.contiguous()
        # Keys are seen by many blocks: their gradients are summed in fp32.
        of_key, of_value = (torch.zeros_like(part, dtype=torch.float32) for part in (key, value))
        of_bias = torch.zeros_like(low, dtype=torch.float32) if low is not None and ctx.with_bias else None
        drop = ctx.plan.dropout
        before, scores_of = _before_products(ctx.plan.scores, query.dtype)
        for block in ctx.plan.blocks:
            rows = slice(block.first * ctx.group, block.last * ctx.group)
            slope = slopes[:, rows]
            scores = scores_of.of_products(torch.bmm(query[:, rows], _cut(keys_across, block, 2)))
            # Before `_weights`, which uses the scores up.
            growth = scores_of.growth(scores)
            weights = _weights(scores, low, block, ctx.group)
            shown = weights if drop is None else _dropped(weights, drop, block)
            _add(of_value, torch.bmm(shown.mT, slope), block)
            scores = torch.bmm(slope, _cut(values_across, block, 2))
            if drop is not None:
                scores = _dropped(scores, drop, block)
            scores.sub_(delta[:, rows]).mul_(weights)
            # Before `growth`: the bias is added to scores that are scaled and capped already.
            if of_bias is not None:
                _bias_of(of_bias, block).add_(scores)
            if isinstance(growth, Tensor) or growth != 1.0:
                scores.mul_(growth)
            of_query[:, rows] = torch.bmm(scores, _cut(key, block))
            _add(of_key, torch.bmm(scores.mT, query[:, rows]), block)
        if before != 1.0:
            of_query.mul_(before)
        back = _unfold(of_query, ctx.group).transpose(1, 2)
        return back, of_key.to(key.dtype)[None], of_value.to(key.dtype)[None], of_bias, None


def _before_products(scores: Scores, dtype: torch.dtype) -> tuple[float, Scores]:
    """Return what queries are multiplied with before the products, and what is left to do with those.

    A power of two moves no digit, so that it may stand before: queries are fewer than scores, for the same bits. Not so
    in fp16, whose small numbers lose digits.
    """
    # Of `frexp`'s fractions 0.5 is that of powers of two alone.
    if scores.cap is not None or dtype == torch.float16 or math.frexp(scores.scale)[0] != 0.5:
        return 1.0, scores
    return scores.scale, replace(scores, scale=1.0)


def lowered(bias: Tensor, dtype: torch.dtype) -> Tensor:
    """Return a bias as blocks of scores add rows of it: in their precision, whole rows in memory."""
    return bias.detach().to(dtype).contiguous()


def _fold(heads: Tensor, group: int) -> Tensor:
    """Bring (1, heads, tokens, dim) into (key heads, tokens * group, dim): a token's rows stand together."""
    _, count, tokens, dim = heads.shape
    split = heads[0].reshape(count // group, group, tokens, dim).transpose(1, 2)
    return split.reshape(count // group, tokens * group, dim)


def _unfold(folded: Tensor, group: int) -> Tensor:
    """Bring (key heads, tokens * group, dim) into (1, tokens, heads, dim)."""
    count, rows, dim = folded.shape
    split = folded.view(count, rows // group, group, dim).transpose(0, 1)
    return split.reshape(1, rows // group, count * group, dim)


def _cut(states: Tensor, block: Block, dim: int = 1) -> Tensor:
    """Return the keys (or values) that a block sees, (key heads, seen, dim); `dim`: along which they stand."""
    parts = [states.narrow(dim, first, last - first) for first, last in block.spans]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=dim)


def _add(total: Tensor, part: Tensor, block: Block) -> None:
    """Add what `_cut` gave gradients for, where it came from."""
    sizes = [last - first for first, last in block.spans]
    for (first, last), piece in zip(block.spans, torch.split(part, sizes, dim=1), strict=True):
        total[:, first:last] += piece


def _weights(scores: Tensor, bias: Tensor | None, block: Block, group: int) -> Tensor:
    """Return the attention weights of a block, (key heads, rows, seen); its scores are used up."""
    if bias is not None:
        scores.add_(_bias_of(bias, block))
    if block.causal:
        size, seen, device = block.last - block.first, scores.shape[-1], str(scores.device)
        scores[:, :, -size:].masked_fill_(_later(size, group, device), float("-inf"))
        if block.window is not None:
            far = _far(size, block.window - (seen - block.free - size), group, device)
            scores[:, :, block.free : block.free + far.shape[-1]].masked_fill_(far, float("-inf"))
    elif block.behind is not None and block.window is not None:
        size, seen, device = block.last - block.first, scores.shape[-1], str(scores.device)
        place = block.first - block.spans[0][0]  # the first query's, among the keys
        scores.masked_fill_(
            _outside(size, seen, (place - block.window, place + block.behind), group, device), float("-inf")
        )
    return torch.softmax(scores, -1)


def _dropped(weights: Tensor, site: Site, block: Block) -> Tensor:
    """Return weights (or their gradients) with those that are dropped at zero, the others scaled."""
    count, rows, seen = weights.shape
    return (weights * site.scale).mul_(site.kept((count, rows, seen), block.first, block.last, block.skipped))


@lru_cache(maxsize=256)
def _later(size: int, group: int, device: str) -> Tensor:
    """Return which of a block's own keys stand behind each query's token."""
    return torch.ones(size, size, dtype=torch.bool, device=device).triu_(1).repeat_interleave(group, 0)


@lru_cache(maxsize=256)
def _far(size: int, room: int, group: int, device: str) -> Tensor:
    """Return which of a block's first keys lie before each query's window.

    `room` is how many keys the first query's window has from the first of all: each later query misses one more.
    """
    seen = torch.ones(size, max(0, size - room), dtype=torch.bool, device=device)
    return seen.tril_(-room).repeat_interleave(group, 0)


@lru_cache(maxsize=256)
def _outside(size: int, seen: int, ends: tuple[int, int], group: int, device: str) -> Tensor:
    """Return which of a block's keys lie outside each query's window.

    `ends`: the last key before the first query's window and the first one behind it; each later query's lie one on.
    """
    every = torch.ones(size, seen, dtype=torch.bool, device=device)
    return (every.tril(ends[0]) | every.triu(ends[1])).repeat_interleave(group, 0)


def _bias_of(bias: Tensor, block: Block) -> Tensor:
    """Return the part of the bias (heads, length, length) that a block's scores have."""
    seen = block.spans[0][1] - block.spans[0][0]
    return bias[:, block.place : block.place + block.last - block.first, :seen]
