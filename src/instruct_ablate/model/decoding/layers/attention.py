"""Attention for decoding: packed prompts behind shared prefixes, and one new token per row on cached keys.

Registered with transformers' `AttentionInterface`. A forward pass says through the keyword `layout` where keys and
values are kept and who sees whom; rows never see each other, and no linear layer sees padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import AttentionInterface

from instruct_ablate.model.attention_scores import Scores
from instruct_ablate.model.last_layer import taking_turns

NAME = "instruct_ablate_decoding"
Pair = tuple[Tensor, Tensor]  # keys and values


class Layout(Protocol):
    """What a forward pass tells the attention of every layer.

    `wanted`: the tokens whose output is used, None for all; the last layer may bring the queries of these alone.
    """

    @property
    def wanted(self) -> Tensor | None:
        """Return their places."""

    def attend(self, layer: int, query: Tensor, own: Pair, scores: Scores) -> Tensor:
        """Keep `own` (1, kv heads, tokens, dim) and return (1, heads, tokens, dim)."""


@dataclass(frozen=True, slots=True)
class Run:
    """Neighbouring rows of equal length behind the same prefix: one call of the attention kernel.

    `mask` (length, prefix + length) tells which keys each token sees; None is causal, without a prefix. `places` are
    the tokens' places in their sequence, from 0 behind the prefix; None: one after the other.
    """

    start: int  # first token in the packed sequence
    rows: int
    length: int
    prefix: int | None = None
    mask: Tensor | None = None
    places: tuple[int, ...] | None = None

    @property
    def stop(self) -> int:
        """The token after the run's last one."""
        return self.start + self.rows * self.length


@dataclass(frozen=True, slots=True)
class Share:
    """Rows `first` to `last` of a decoding batch stand behind one prefix with these keys and values."""

    first: int
    last: int
    keys: Tensor  # (kv heads, length, dim)
    values: Tensor
    hidden: Tensor | None = None  # (rows, length): what is out of a row's window


def run_attention(run: Run, query: Tensor, own: Pair, prefix: Pair | None, scores: Scores) -> Tensor:
    """Return the attention of one run, (heads, rows * length, dim); `prefix` is (kv heads, length, dim) each."""
    query, key, value = (_rows(states, run) for states in (query, *own))
    before = 0 if prefix is None else prefix[0].shape[1]
    # What the first token's window does not reach, no later one's does.
    first = 0 if scores.window is None else min(before, max(0, before + 1 - scores.window))
    if prefix is not None and first < before:
        size = (run.rows, prefix[0].shape[0], before - first, prefix[0].shape[2])
        key = torch.cat([prefix[0][:, first:].expand(size), key], dim=2)
        value = torch.cat([prefix[1][:, first:].expand(size), value], dim=2)
    output = _attend(query, key, value, _mask(run, before, first, scores.window, query.device), scores)
    return output.transpose(0, 1).flatten(1, 2)


def _mask(run: Run, before: int, first: int, window: int | None, device: torch.device) -> Tensor | None:
    """Return which keys, from the one at place `first`, a run's tokens see; None is causal."""
    places = run.places or tuple(range(run.length))
    if window is None or before + max(places) < window:
        return run.mask
    near = _near(places, before, window, str(device))
    seen = near if run.mask is None else near & run.mask
    return seen[:, first:]


@lru_cache(maxsize=32)
def _near(places: tuple[int, ...], before: int, window: int, device: str) -> Tensor:
    """Return which of the keys at `places` behind `before` others, and of those, lie in the window of each."""
    own = torch.tensor(places, device=device) + before
    distance = own[:, None] - torch.cat([torch.arange(before, device=device), own])
    return (distance >= 0) & (distance < window)


def _attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scores: Scores) -> Tensor:
    """Attend within (rows, heads, tokens, dim), causally without a mask."""
    grouped = query.shape[1] != key.shape[1]
    # Elsewhere a mask with grouped heads falls back to a slow kernel.
    if grouped and (query.device.type != "cpu" or scores.cap is not None):
        repeats = query.shape[1] // key.shape[1]
        key, value, grouped = key.repeat_interleave(repeats, 1), value.repeat_interleave(repeats, 1), False
    if scores.cap is None:
        return F.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, is_causal=mask is None, scale=scores.scale, enable_gqa=grouped
        )
    if mask is None:
        mask = _near(tuple(range(query.shape[2])), 0, query.shape[2], str(query.device))
    # Softmax in fp32, as transformers' own attention of families with a cap has it.
    capped = scores.of_products(torch.matmul(query, key.transpose(2, 3))).masked_fill_(~mask, float("-inf"))
    return torch.matmul(capped.softmax(-1, dtype=torch.float32).to(query.dtype), value)


def _rows(states: Tensor, run: Run) -> Tensor:
    """Cut a run out of (1, heads, tokens, dim) as (rows, heads, length, dim)."""
    cut = states[0, :, run.start : run.stop]
    return cut.reshape(cut.shape[0], run.rows, run.length, -1).transpose(0, 1)


def filled_up(packed: Tensor, runs: Sequence[Run], longest: int) -> Tensor:
    """Return packed states (heads, tokens, dim) as (rows, heads, longest, dim), zeros behind each row's last token.

    Zeros, because what no token sees has weight 0, and 0 times NaN would be NaN.
    """
    filled = packed.new_empty(sum(run.rows for run in runs), packed.shape[0], longest, packed.shape[2])
    first = 0
    for run in runs:
        some = filled[first : first + run.rows]
        some[:, :, : run.length] = _rows(packed[None], run)
        some[:, :, run.length :] = 0
        first += run.rows
    return filled


def step_attention(
    query: Tensor, own: Pair, hidden: Tensor, shares: Sequence[Share], scores: Scores
) -> Tensor:
    """Return the attention of one new token per row, (rows, kv heads, group, dim), shaped as `query`.

    `own` is (rows, kv heads, columns, dim) each; `hidden` (rows, columns) marks columns that a row does not see.
    Rows behind one prefix read it with a single matrix product: what sharing saves in memory traffic.
    """
    keys, values = own
    room = max((share.keys.shape[1] for share in shares), default=0)
    # Rows behind a shorter prefix, or none, leave columns unwritten: minus infinity gives those no weight.
    products = query.new_full((*query.shape[:3], room + keys.shape[2]), float("-inf"))
    products[..., room:] = _hide(scores.of_products(torch.matmul(query, keys.transpose(2, 3))), hidden)
    for share in shares:
        part = scores.of_products(torch.bmm(_merge(query, share), share.keys.transpose(1, 2)))
        products[share.first : share.last, ..., : part.shape[2]] = _hide(_split(part, share), share.hidden)
    weights = products.softmax(-1, dtype=torch.float32).to(query.dtype)
    output = torch.matmul(weights[..., room:], values)
    for share in shares:
        part = torch.bmm(_merge(weights[..., : share.keys.shape[1]], share), share.values)
        output[share.first : share.last] += _split(part, share)
    return output


def _hide(scores: Tensor, hidden: Tensor | None) -> Tensor:
    """Set scores (rows, kv heads, group, columns) of what rows do not see to minus infinity, in place."""
    return scores if hidden is None else scores.masked_fill_(hidden[:, None, None], float("-inf"))


def _merge(states: Tensor, share: Share) -> Tensor:
    """Bring a share's rows of (rows, kv heads, group, x) into the form (kv heads, rows * group, x)."""
    return states[share.first : share.last].transpose(0, 1).flatten(1, 2)


def _split(states: Tensor, share: Share) -> Tensor:
    """Undo `_merge`."""
    rows = share.last - share.first
    return states.view(states.shape[0], rows, -1, states.shape[2]).transpose(0, 1)


def _attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    **keywords: Any,
) -> tuple[Tensor, None]:
    """Hand one layer's attention to the layout of the pass (transformers' calling convention)."""
    layout: Layout = keywords["layout"]
    output = layout.attend(int(module.layer_idx), query, (key, value), Scores.of(query, keywords))
    return output.transpose(1, 2), None


# The last layer runs twice where few tokens are wanted: with these alone, beside the keys of all.
AttentionInterface.register(NAME, taking_turns(_attention))
