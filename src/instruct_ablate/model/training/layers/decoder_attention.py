"""Attention over packed segments: each sees itself causally and all of its parent; nothing sees its neighbours.

Registered with transformers' `AttentionInterface`; the forward pass hands the layout down as the keyword `packed`.
Without padding there is no mask to build, and linear layers run over real tokens alone.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AttentionInterface

from instruct_ablate.data.micro_batch import NO_PARENT, Packed
from instruct_ablate.errors import UserError
from instruct_ablate.model.attention_scores import Scores
from instruct_ablate.model.cuda_attention import (
    Sequences,
    behind_parents,
    in_one_order,
    takes_whole_batches,
)
from instruct_ablate.model.last_layer import spread, taking_turns
from instruct_ablate.model.training.layers.cpu_attention import Block, BlockAttention, Plan, Span, blocks
from instruct_ablate.model.training.layers.dropout import WeightsAt
from instruct_ablate.model.training.layers.dropout_masks import Site

NAME = "instruct_ablate_packed"
# What some families add to attention, and packed attention does not know.
UNKNOWN = ("s_aux",)


class PackedLayout:
    """Which tokens each segment's queries may see; made once per micro-batch, read by every layer."""

    def __init__(
        self, packed: Packed, dropout: WeightsAt | None = None, wanted: Tensor | None = None
    ) -> None:
        self.dropout, self.wanted = dropout, wanted
        self.lengths, self.parents = list(packed.lengths), packed.parents
        self.spans: list[Span] = packed.spans
        self.longest = packed.longest
        self._blocks: dict[tuple[int | None, bool], list[Block]] = {}
        self.device = packed.offsets.device
        self._masks: dict[tuple[int, int, int | None], Tensor] = {}

    def blocks(self, window: int | None, last: bool = False) -> list[Block]:
        """Return the blocks of all segments, those of one window made once; `last`: of the queries wanted alone."""
        # A window beyond the longest sequence hides nothing: such layers share the blocks of those without.
        window = None if window is not None and window >= self.longest else window
        if (window, last) not in self._blocks:
            self._blocks[window, last] = [
                replace(block, first=block.first - shift, last=block.last - shift)
                for segment, part, shift in (self._wanted() if last else self._all())
                for block in blocks(self.spans[segment], self._before(segment), True, window, part)
            ]
        return self._blocks[window, last]

    def _before(self, segment: int) -> list[Span]:
        parent = self.parents[segment]
        return [self.spans[parent]] if parent != NO_PARENT else []

    def _all(self) -> Iterator[tuple[int, Span, int]]:
        """Yield every segment with its span; queries stand where their tokens do."""
        return ((segment, span, 0) for segment, span in enumerate(self.spans))

    def _wanted(self) -> Iterator[tuple[int, Span, int]]:
        """Yield stretches of wanted tokens: their segment, their span, and how far their queries stand before it."""
        assert self.wanted is not None
        starts = [start for start, _ in self.spans]
        placed = (
            (bisect_right(starts, token) - 1, token, token - at)
            for at, token in enumerate(self.wanted.tolist())
        )
        for (segment, shift), stretch in itertools.groupby(placed, key=lambda one: (one[0], one[2])):
            tokens = [token for _, token, _ in stretch]
            yield segment, (tokens[0], tokens[-1] + 1), shift

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, scores: Scores, site: Site | None = None
    ) -> Tensor:
        """Return the attention of all segments, (1, tokens, heads, dim), from (1, heads, tokens, dim).

        Of the last layer the queries may be those of the wanted tokens alone.
        """
        few = query.shape[2] < key.shape[2]
        # Kernels know neither masks of dropout nor a cap on scores: there blocks serve GPUs, too.
        if query.device.type == "cpu" or site is not None or scores.cap is not None:
            plan = Plan(self.blocks(scores.window, few), scores, site)
            result: Tensor = BlockAttention.apply(query, key, value, None, plan)  # type: ignore[no-untyped-call]
            return result
        return self.by_kernels(query, key, value, scores)

    def by_kernels(self, query: Tensor, key: Tensor, value: Tensor, scores: Scores) -> Tensor:
        """The same by the kernels of GPUs, or PyTorch's."""
        if query.shape[2] < key.shape[2]:
            assert self.wanted is not None
            every = spread(query, self.wanted, key.shape[2])
            return self.by_kernels(every, key, value, scores).index_select(1, self.wanted)
        if takes_whole_batches(query, key):
            window = scores.window if self._narrow(scores.window) else None
            return self.segments.attend(query, key, value, scores.scale, True, window)
        return self.by_segment(query, key, value, scores).transpose(1, 2)

    @cached_property
    def segments(self) -> Sequences:
        """All segments as the kernels of GPUs take them."""
        return behind_parents(self.lengths, self.parents, self.device)

    def by_segment(self, query: Tensor, key: Tensor, value: Tensor, scores: Scores) -> Tensor:
        """The same by PyTorch's kernels, one call a segment; they know no cap."""
        repeats = query.shape[1] // key.shape[1]
        if repeats > 1 and (
            self._narrow(scores.window) or any(parent != NO_PARENT for parent in self.parents)
        ):
            # A mask beside grouped heads would fall back to a slow kernel.
            key, value = key.repeat_interleave(repeats, 1), value.repeat_interleave(repeats, 1)
        # Split and not sliced: the gradients are then put together once, not added up in full length.
        keys, values = torch.split(key, self.lengths, 2), torch.split(value, self.lengths, 2)
        parts = []
        for index, own in enumerate(torch.split(query, self.lengths, 2)):
            parent = self.parents[index]
            seen = [index] if parent == NO_PARENT else [parent, index]
            before = 0 if parent == NO_PARENT else self.lengths[parent]
            mask = self._mask(own.shape[2], before, scores.window, own.device)
            part = F.scaled_dot_product_attention(
                own,
                torch.cat([keys[place] for place in seen], 2),
                torch.cat([values[place] for place in seen], 2),
                attn_mask=mask,
                is_causal=mask is None,
                scale=scores.scale,
                enable_gqa=query.shape[1] != key.shape[1],
            )
            parts.append(in_one_order(part))
        return torch.cat(parts, dim=2)

    def _narrow(self, window: int | None) -> bool:
        return window is not None and window < self.longest

    def _mask(self, length: int, before: int, window: int | None, device: torch.device) -> Tensor | None:
        """Return (length, before + length): the parent and one's own tokens so far, as far as the window goes.

        None is causal, without a parent.
        """
        far = window if window is not None and window < before + length else None
        if before == 0 and far is None:
            return None
        if (length, before, far) not in self._masks:
            seen = torch.ones(length, before + length, dtype=torch.bool, device=device).tril(before)
            self._masks[length, before, far] = seen if far is None else seen.triu(before - far + 1)
        return self._masks[length, before, far]


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
    _check(keywords)
    site = layout.dropout(module) if layout.dropout is not None else None
    return layout.attend(query, key, value, Scores.of(query, keywords), site), None


def _check(keywords: dict[str, Any]) -> None:
    """Refuse what would silently be computed wrong."""
    for name in UNKNOWN:
        if keywords.get(name) is not None:
            raise UserError(f"this model's attention uses {name}, which training here does not know.")


# The last layer runs twice where few tokens are wanted: with these alone, beside the keys of all.
AttentionInterface.register(NAME, taking_turns(_attention))
