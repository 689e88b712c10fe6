"""T5 over packed sequences: relative position bias, and cross-attention of each target to its own source.

transformers builds the bias for all pairs of tokens; of a packed batch most never meet. The bias depends on the
distance alone, so one square for the longest sequence, made once per pass, has all others in its corner.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property, partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AttentionInterface

from instruct_ablate.data.micro_batch import MicroBatch, Packed
from instruct_ablate.model.attention_scores import Scores
from instruct_ablate.model.cuda_attention import (
    Sequences,
    SideBySide,
    beside,
    in_one_order,
    takes_whole_batches,
)
from instruct_ablate.model.training.layers.cpu_attention import Block, BlockAttention, Plan, blocks, lowered
from instruct_ablate.model.training.layers.dropout import WeightsAt
from instruct_ablate.model.training.layers.dropout_masks import Site
from instruct_ablate.model.transformers_internals import (
    bias_attentions,
    position_buckets,
    replaced,
    scales_decoder_outputs,
    t5_block,
)

NAME = "instruct_ablate_packed_t5"


class T5Layout:
    """Who asks and who is asked in one kind of attention; made once per micro-batch, read by every layer."""

    def __init__(self, queries: Packed, keys: Packed, causal: bool, dropout: WeightsAt | None = None) -> None:
        self.dropout = dropout
        self.device = queries.offsets.device
        self.queries, self.keys, self.causal = list(queries.lengths), list(keys.lengths), causal
        self._lowered: tuple[Tensor, Tensor] | None = None
        self.blocks: list[Block] = []
        for own, seen in zip(queries.spans, keys.spans, strict=True):
            self.blocks += blocks(own, [] if causal else [seen], causal)

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, site: Site | None = None
    ) -> Tensor:
        """Return (1, tokens, heads, dim) from (1, heads, tokens, dim); T5 does not scale its scores."""
        if query.device.type == "cpu" or site is not None:
            plan = Plan(
                self.blocks, Scores(1.0), site, None if bias is None else self._low(bias, query.dtype)
            )
            result: Tensor = BlockAttention.apply(query, key, value, bias, plan)  # type: ignore[no-untyped-call]
            return result
        if bias is None and takes_whole_batches(query, key):
            return self.crossed.attend(query, key, value, 1.0, self.causal)
        if bias is not None and query.device.type == "cuda":
            return self.side_by_side.attend(query, key, value, bias, self.causal)
        return self.by_sequence(query, key, value, bias)

    def _low(self, bias: Tensor, dtype: torch.dtype) -> Tensor:
        """Return the bias in the precision of products, one for all layers that share it."""
        if self._lowered is None or self._lowered[0] is not bias:
            self._lowered = bias, lowered(bias, dtype)
        return self._lowered[1]

    @cached_property
    def crossed(self) -> Sequences:
        """Queries and keys as the kernels of GPUs take them, without a bias."""
        return beside(self.queries, self.keys, self.device)

    @cached_property
    def side_by_side(self) -> SideBySide:
        """Sequences that see themselves, with a bias, as the kernels of GPUs take them."""
        return SideBySide(self.queries, self.device)

    def by_sequence(self, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> Tensor:
        """The same by PyTorch's kernels, one call a sequence."""
        pairs = zip(torch.split(key, self.keys, 2), torch.split(value, self.keys, 2), strict=True)
        parts = [
            in_one_order(
                F.scaled_dot_product_attention(own, *seen, attn_mask=self._mask(own, bias), scale=1.0)
            )
            for own, seen in zip(torch.split(query, self.queries, 2), pairs, strict=True)
        ]
        return torch.cat(parts, dim=2).transpose(1, 2)

    def _mask(self, query: Tensor, bias: Tensor | None) -> Tensor | None:
        """Return the corner of the bias that a sequence needs, its future hidden."""
        if bias is None:
            return None
        length = query.shape[2]
        mask = bias[None, :, :length, :length].to(query.dtype)
        if self.causal:
            later = torch.ones(length, length, dtype=torch.bool, device=query.device).triu(1)
            mask = mask.masked_fill(later, float("-inf"))
        return mask


def t5_states(model: Any, batch: MicroBatch, dropout: WeightsAt | None = None) -> Tensor:
    """Return the decoder's last states (1, tokens, width) for a packed batch."""
    assert batch.encoder is not None
    encoder, decoder = model.get_encoder(), model.get_decoder()
    within = {"own": T5Layout(batch.encoder, batch.encoder, causal=False, dropout=dropout)}
    states = _stack(encoder, batch.encoder, within, None)
    within = {
        "own": T5Layout(batch.decoder, batch.decoder, causal=True, dropout=dropout),
        "crossed": T5Layout(batch.decoder, batch.encoder, causal=False, dropout=dropout),
    }
    states = _stack(decoder, batch.decoder, within, states)
    return scaled(model, states)


def scaled(model: Any, states: Tensor) -> Tensor:
    """Scale the decoder's states where the output layer is tied to the embeddings (T5 version 1.0)."""
    return states * model.config.d_model**-0.5 if scales_decoder_outputs(model) else states


def _stack(stack: Any, packed: Packed, layouts: dict[str, T5Layout], encoded: Tensor | None) -> Tensor:
    """Run one stack, as transformers' `T5Stack.forward` does, with the bias of our own."""
    states: Tensor = stack.dropout(stack.embed_tokens(packed.ids[None]))
    for attention in bias_attentions(stack):
        # The layer makes the bias within its own forward pass: that is told here for which length.
        attention.longest = max(packed.lengths)
    bias = None
    for block in stack.block:
        states, bias = t5_block(block, states, bias, encoded, layouts=layouts)
    result: Tensor = stack.dropout(stack.final_layer_norm(states))
    return result


@contextmanager
def corner_bias(model: Any) -> Iterator[None]:
    """Let layers that have the bias (T5: for all of their stack) make one square for the longest sequence.

    They make it inside their own forward pass: there sharded weights are whole, and it can be recomputed.
    """
    holders = [one for stack in (model.get_encoder(), model.get_decoder()) for one in bias_attentions(stack)]
    with replaced("compute_bias", {one: partial(position_bias, one) for one in holders}):
        yield


def position_bias(attention: Any, *_: Any, **__: Any) -> Tensor:
    """Return the bias (heads, longest, longest) in fp32, of which each sequence has the corner of its length."""
    # Not the lengths that transformers hands over: those are of the whole packed row.
    longest = attention.longest
    device = attention.relative_attention_bias.weight.device
    distance = torch.arange(1 - longest, longest, device=device)
    bucket = position_buckets(attention, distance)
    # fp32, because the gradient sums over all pairs at a distance, in all layers.
    by_distance: Tensor = attention.relative_attention_bias(bucket).float().T
    # Row q is the stretch of distances from -q on: one look-up a distance, not one a pair of tokens.
    return by_distance.unfold(1, longest, 1).flip(1)


def _attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    **keywords: Any,
) -> tuple[Tensor, None]:
    """Attend within packed sequences (transformers' calling convention for T5)."""
    crossing = bool(module.is_decoder) and not module.is_causal
    layout: T5Layout = keywords["layouts"]["crossed" if crossing else "own"]
    site = layout.dropout(module) if layout.dropout is not None else None
    return layout.attend(query, key, value, None if crossing else keywords["position_bias"], site), None


AttentionInterface.register(NAME, _attention)
