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

NAME = "instruct_ablate_packed"
Spans = list[tuple[int, int]]


class PackedLayout:
    """Which tokens each segment's queries may see; made once per micro-batch, read by every layer."""

    def __init__(self, packed: Packed) -> None:
        ends = packed.offsets.tolist()
        self.spans: Spans = list(itertools.pairwise(ends))
        self.parents = packed.parents
        self._masks: dict[tuple[int, int], Tensor] = {}

    def attend(self, query: Tensor, key: Tensor, value: Tensor, scale: float, dropout: float) -> Tensor:
        """Return the attention of all segments, shaped as `query` (1, heads, tokens, dim)."""
        parts = []
        for (start, stop), parent in zip(self.spans, self.parents, strict=True):
            keys, values, mask = key[:, :, start:stop], value[:, :, start:stop], None
            if parent != NO_PARENT:
                first, last = self.spans[parent]
                keys = torch.cat([key[:, :, first:last], keys], dim=2)
                values = torch.cat([value[:, :, first:last], values], dim=2)
                mask = self._mask(stop - start, last - first, query.device)
            parts.append(
                F.scaled_dot_product_attention(
                    query[:, :, start:stop],
                    keys,
                    values,
                    attn_mask=mask,
                    dropout_p=dropout,
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
    scale = keywords["scaling"] or query.shape[-1] ** -0.5
    output = layout.attend(query, key, value, scale, keywords.get("dropout", 0.0))
    return output.transpose(1, 2), None


AttentionInterface.register(NAME, _attention)
