"""Attention for decoding: packed prompts behind shared prefixes, and one new token per row on cached keys.

Registered with transformers' `AttentionInterface`. A forward pass says through the keyword `layout` where keys and
values are kept and who sees whom; rows never see each other, and no linear layer sees padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import AttentionInterface

NAME = "instruct_ablate_decoding"
Pair = tuple[Tensor, Tensor]  # keys and values


class Layout(Protocol):
    """What a forward pass tells the attention of every layer."""

    def attend(self, layer: int, query: Tensor, own: Pair, scale: float) -> Tensor:
        """Keep `own` (1, kv heads, tokens, dim) and return (1, heads, tokens, dim)."""


@dataclass(frozen=True, slots=True)
class Run:
    """Neighbouring rows of equal length behind the same prefix: one call of the attention kernel.

    `mask` (length, prefix + length) tells which keys each token sees; None is causal, without a prefix.
    """

    start: int  # first token in the packed sequence
    rows: int
    length: int
    prefix: int | None = None
    mask: Tensor | None = None

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


def run_attention(run: Run, query: Tensor, own: Pair, prefix: Pair | None, scale: float) -> Tensor:
    """Return the attention of one run, (heads, rows * length, dim); `prefix` is (kv heads, length, dim) each."""
    query, key, value = (_rows(states, run) for states in (query, *own))
    if prefix is not None:
        size = (run.rows, *prefix[0].shape)
        key = torch.cat([prefix[0].expand(size), key], dim=2)
        value = torch.cat([prefix[1].expand(size), value], dim=2)
    grouped = query.shape[1] != key.shape[1]
    if (
        grouped and query.device.type != "cpu"
    ):  # elsewhere a mask with grouped heads falls back to a slow kernel
        repeats = query.shape[1] // key.shape[1]
        key, value, grouped = key.repeat_interleave(repeats, 1), value.repeat_interleave(repeats, 1), False
    causal = run.mask is None
    output = F.scaled_dot_product_attention(
        query, key, value, attn_mask=run.mask, is_causal=causal, scale=scale, enable_gqa=grouped
    )
    return output.transpose(0, 1).flatten(1, 2)


def _rows(states: Tensor, run: Run) -> Tensor:
    """Cut a run out of (1, heads, tokens, dim) as (rows, heads, length, dim)."""
    cut = states[0, :, run.start : run.stop]
    return cut.reshape(cut.shape[0], run.rows, run.length, -1).transpose(0, 1)


def step_attention(query: Tensor, own: Pair, hidden: Tensor, shares: Sequence[Share], scale: float) -> Tensor:
    """Return the attention of one new token per row, (rows, kv heads, group, dim), shaped as `query`.

    `own` is (rows, kv heads, columns, dim) each; `hidden` (rows, columns) marks columns before a row's first token.
    Rows behind one prefix read it with a single matrix product: what sharing saves in memory traffic.
    """
    keys, values = own
    room = max((share.keys.shape[1] for share in shares), default=0)
    scores = query.new_full((*query.shape[:3], room + keys.shape[2]), float("-inf"))
    scores[..., room:] = torch.matmul(query, keys.transpose(2, 3)).masked_fill_(
        hidden[:, None, None], float("-inf")
    )
    for share in shares:
        part = torch.bmm(_merge(query, share), share.keys.transpose(1, 2))
        scores[share.first : share.last, ..., : part.shape[2]] = _split(part, share)
    weights = scores.mul_(scale).softmax(-1, dtype=torch.float32).to(query.dtype)
    output = torch.matmul(weights[..., room:], values)
    for share in shares:
        part = torch.bmm(_merge(weights[..., : share.keys.shape[1]], share), share.values)
        output[share.first : share.last] += _split(part, share)
    return output


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
    scale = keywords["scaling"]
    layout: Layout = keywords["layout"]
    output = layout.attend(
        int(module.layer_idx), query, (key, value), query.shape[-1] ** -0.5 if scale is None else scale
    )
    return output.transpose(1, 2), None


AttentionInterface.register(NAME, _attention)
