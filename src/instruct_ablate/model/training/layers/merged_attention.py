"""T5Gemma 2 over packed sequences: each source sees itself both ways, each target itself and its own source at once.

transformers builds masks for all pairs of tokens of a padded batch; here layers are handed none, and attend by the
layout that stands in the keyword `layout`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AttentionInterface

from instruct_ablate.data.micro_batch import MicroBatch, Packed
from instruct_ablate.model.attention_scores import Scores, reach_both_ways, sees_both_ways
from instruct_ablate.model.cuda_attention import in_one_order
from instruct_ablate.model.training.layers.cpu_attention import (
    ROWS,
    Block,
    BlockAttention,
    Plan,
    Span,
    blocks,
)
from instruct_ablate.model.training.layers.dropout import WeightsAt
from instruct_ablate.model.training.layers.dropout_masks import Site

NAME = "instruct_ablate_packed_merged"
KINDS = ("full_attention", "sliding_attention")


class Sides(Protocol):
    """Who is asked by each sequence of queries."""

    dropout: WeightsAt | None
    queries: list[int]

    def blocks(self, window: int | None) -> list[Block]:
        """Return the blocks of all sequences."""

    def seen(self, states: Tensor) -> list[Tensor]:
        """Cut keys or values (1, heads, keys, dim) into what each sequence sees."""

    def mask(self, own: int, keys: int, window: int | None, device: torch.device) -> Tensor | None:
        """Return which of so many keys a sequence's tokens see, (own, keys); None: all."""


class Sources:
    """Sequences that see themselves both ways, all or within a window."""

    def __init__(self, packed: Packed, dropout: WeightsAt | None = None) -> None:
        self.dropout, self.queries, self.spans = dropout, list(packed.lengths), packed.spans
        self._blocks: dict[int | None, list[Block]] = {}

    def blocks(self, window: int | None) -> list[Block]:
        """Return the blocks of all sequences, those of one window made once."""
        if window not in self._blocks:
            self._blocks[window] = [block for span in self.spans for block in _both_ways(span, window)]
        return self._blocks[window]

    def seen(self, states: Tensor) -> list[Tensor]:
        """Each sees itself."""
        return list(torch.split(states, self.queries, 2))

    def mask(self, own: int, keys: int, window: int | None, device: torch.device) -> Tensor | None:
        """Return the window's mask."""
        return sees_both_ways(own, window, device)


class Targets:
    """Sequences that see themselves causally, all or within a window, and all of their source.

    Keys of all targets stand before those of all sources.
    """

    def __init__(self, decoder: Packed, encoder: Packed, dropout: WeightsAt | None = None) -> None:
        self.dropout, self.queries, self.sources = dropout, list(decoder.lengths), list(encoder.lengths)
        spans = [(first + decoder.total, last + decoder.total) for first, last in encoder.spans]
        self.spans = list(zip(decoder.spans, spans, strict=True))
        self._blocks: dict[int | None, list[Block]] = {}

    def blocks(self, window: int | None) -> list[Block]:
        """Return the blocks of all sequences, those of one window made once."""
        if window not in self._blocks:
            self._blocks[window] = [
                block
                for own, source in self.spans
                for block in blocks(own, [source], True, window, free=True)
            ]
        return self._blocks[window]

    def seen(self, states: Tensor) -> list[Tensor]:
        """Each sees its source, and then itself."""
        parts = torch.split(states, [*self.queries, *self.sources], 2)
        count = len(self.queries)
        return [torch.cat(pair, 2) for pair in zip(parts[count:], parts[:count], strict=True)]

    def mask(self, own: int, keys: int, window: int | None, device: torch.device) -> Tensor | None:
        """Return who sees whom: the source before, and the past."""
        seen = torch.ones(own, own, dtype=torch.bool, device=device).tril()
        seen = seen if window is None else seen.triu(1 - window)
        return F.pad(seen, (keys - own, 0), value=True)


def merged_states(model: Any, batch: MicroBatch, dropout: WeightsAt | None = None) -> Tensor:
    """Return the decoder's last states (1, tokens, width) for a packed batch."""
    assert batch.encoder is not None
    encoded = model.get_encoder()(
        input_ids=batch.encoder.ids[None],
        position_ids=batch.encoder.positions[None],
        attention_mask=dict.fromkeys(KINDS),
        layout=Sources(batch.encoder, dropout),
    ).last_hidden_state
    nothing = dict.fromkeys(KINDS, batch.decoder.ids.new_zeros(0))  # masks, which are put together there
    output = model.get_decoder()(
        input_ids=batch.decoder.ids[None],
        position_ids=batch.decoder.positions[None],
        attention_mask=nothing,
        encoder_hidden_states=encoded,
        encoder_attention_mask=nothing,
        use_cache=False,
        layout=Targets(batch.decoder, batch.encoder, dropout),
    )
    states: Tensor = output.last_hidden_state
    return states


def attend(
    layout: Sides, query: Tensor, key: Tensor, value: Tensor, scores: Scores, site: Site | None = None
) -> Tensor:
    """Return the attention of all sequences, (1, tokens, heads, dim), from (1, heads, tokens, dim)."""
    # Kernels know neither masks of dropout nor a cap on scores: there blocks serve GPUs, too.
    if query.device.type == "cpu" or site is not None or scores.cap is not None:
        plan = Plan(layout.blocks(scores.window), scores, site)
        result: Tensor = BlockAttention.apply(query, key, value, None, plan)  # type: ignore[no-untyped-call]
        return result
    return by_sequence(layout, query, key, value, scores)


def by_sequence(layout: Sides, query: Tensor, key: Tensor, value: Tensor, scores: Scores) -> Tensor:
    """The same by PyTorch's kernels, one call a sequence; they know no cap."""
    repeats = query.shape[1] // key.shape[1]
    if repeats > 1:  # a mask beside grouped heads would fall back to a slow kernel
        key, value = key.repeat_interleave(repeats, 1), value.repeat_interleave(repeats, 1)
    parts = []
    every = zip(torch.split(query, layout.queries, 2), layout.seen(key), layout.seen(value), strict=True)
    for own, keys, values in every:
        mask = layout.mask(own.shape[2], keys.shape[2], scores.window, own.device)
        part = F.scaled_dot_product_attention(own, keys, values, attn_mask=mask, scale=scores.scale)
        parts.append(in_one_order(part))
    return torch.cat(parts, dim=2).transpose(1, 2)


def _both_ways(span: Span, window: int | None) -> Iterator[Block]:
    """Cut a sequence that sees itself both ways into blocks, each with the keys that its queries see."""
    start, stop = span
    if window is None or stop - start <= min(reach_both_ways(window)):
        yield from blocks(span, [span], False)
        return
    before, behind = reach_both_ways(window)
    for first in range(start, stop, ROWS):
        last = min(first + ROWS, stop)
        seen = max(start, first - before + 1), min(stop, last - 1 + behind)
        yield Block(first, last, (seen,), False, first - start, seen[0] - start, window=before, behind=behind)


def _attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    **keywords: Any,
) -> tuple[Tensor, None]:
    """Attend within packed sequences (transformers' calling convention).

    Decoder layers do not hand their window down; it is read from the layer.
    """
    layout: Sides = keywords["layout"]
    site = layout.dropout(module) if layout.dropout is not None else None
    scores = Scores.of(query, {**keywords, "sliding_window": module.sliding_window})
    return attend(layout, query, key, value, scores, site), None


AttentionInterface.register(NAME, _attention)
