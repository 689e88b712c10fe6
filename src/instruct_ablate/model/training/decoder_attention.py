"""Attention over packed segments: each sees itself causally and all of its parent; nothing sees its neighbours.

Registered with transformers' `AttentionInterface`; the forward pass hands the layout down as the keyword `packed`.
Without padding there is no mask to build, and linear layers run over real tokens alone.
"""

from __future__ import annotations

import itertools
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AttentionInterface

from instruct_ablate.data.micro_batch import NO_PARENT, Packed
from instruct_ablate.errors import UserError
from instruct_ablate.model.training.cpu_attention import BlockAttention, Plan, Span, blocks
from instruct_ablate.model.training.dropout import WeightsAt
from instruct_ablate.model.training.dropout_masks import Site

NAME = "instruct_ablate_packed"
# What some families add to attention, and packed attention does not know.
UNKNOWN = ("softcap", "s_aux")


class PackedLayout:
    """Which tokens each segment's queries may see; made once per micro-batch, read by every layer."""

    def __init__(self, packed: Packed, dropout: WeightsAt | None = None) -> None:
        self.dropout = dropout
        self.lengths, self.parents = list(packed.lengths), packed.parents
        self.spans: list[Span] = list(itertools.pairwise(packed.offsets.tolist()))
        self.longest = int(packed.positions.max()) + 1
        self.blocks = [
            block
            for span, parent in zip(self.spans, self.parents, strict=True)
            for block in blocks(span, [self.spans[parent]] if parent != NO_PARENT else [], True)
        ]
        self._masks: dict[tuple[int, int], Tensor] = {}

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, scale: float, site: Site | None = None
    ) -> Tensor:
        """Return the attention of all segments, (1, tokens, heads, dim), from (1, heads, tokens, dim)."""
        if query.device.type == "cpu" or site is not None:
            plan = Plan(self.blocks, scale, site)
            result: Tensor = BlockAttention.apply(query, key, value, None, plan)  # type: ignore[no-untyped-call]
            return result
        return self.by_segment(query, key, value, scale).transpose(1, 2)

    def by_segment(self, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """The same by PyTorch's kernels, one call a segment."""
        repeats = query.shape[1] // key.shape[1]
        if repeats > 1 and any(parent != NO_PARENT for parent in self.parents):
            # A mask beside grouped heads would fall back to a slow kernel.
            key, value = key.repeat_interleave(repeats, 1), value.repeat_interleave(repeats, 1)
        # Split and not sliced: the gradients are then put together once, not added up in full length.
        keys, values = torch.split(key, self.lengths, 2), torch.split(value, self.lengths, 2)
        parts = []
        for index, own in enumerate(torch.split(query, self.lengths, 2)):
            parent = self.parents[index]
            seen = [index] if parent == NO_PARENT else [parent, index]
            mask = None if parent == NO_PARENT else self._mask(own.shape[2], self.lengths[parent], own.device)
            parts.append(
                F.scaled_dot_product_attention(
                    own,
                    torch.cat([keys[place] for place in seen], 2),
                    torch.cat([values[place] for place in seen], 2),
                    attn_mask=mask,
                    is_causal=mask is None,
                    scale=scale,
                    enable_gqa=query.shape[1] != key.shape[1],
                )
            )
        return torch.cat(parts, dim=2)

    def _mask(self, length: int, before: int, device: torch.device) -> Tensor:
        """Return (length, before + length): all of the parent, and one's own tokens so far."""
        if (length, before) not in self._masks:
            seen = torch.ones(length, before + length, dtype=torch.bool, device=device)
            self._masks[length, before] = seen.tril(before)
        return self._masks[length, before]


def _attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    **keywords: Any,
) -> tuple[Tensor, None]:
    """Attend within packed segments (transformers' calling convention)."""
    layout: PackedLayout = keywords["packed"]
    _check(layout, keywords)
    scale = keywords.get("scaling")
    site = layout.dropout(module) if layout.dropout is not None else None
    return layout.attend(query, key, value, query.shape[-1] ** -0.5 if scale is None else scale, site), None


def _check(layout: PackedLayout, keywords: dict[str, Any]) -> None:
    """Refuse what would silently be computed wrong."""
    for name in UNKNOWN:
        if keywords.get(name) is not None:
            raise UserError(f"this model's attention uses {name}, which training here does not know.")
    window = keywords.get("sliding_window")
    if window is not None and layout.longest > window:
        raise UserError(
            f"a sequence of {layout.longest} tokens exceeds this model's attention window of {window}, which "
            f"training here does not know. Set prompt.max_source_length lower."
        )


AttentionInterface.register(NAME, _attention)
