"""T5's attention over packed sequences: relative position bias per sequence, cross-attention to its own source.

transformers builds the bias for all pairs of tokens; for a packed batch that is mostly pairs which never meet. Here
each layer-0 attention gives the bias per *distance* instead, and each sequence cuts its own square out of it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AttentionInterface

from instruct_ablate.data.micro_batch import Packed
from instruct_ablate.model.packed_attention import Spans

NAME = "instruct_ablate_packed_t5"


class T5Layout:
    """Spans of the sequences in encoder and decoder, and the biases already cut for them."""

    def __init__(self, encoder: Packed, decoder: Packed) -> None:
        self.encoder, self.decoder = _spans(encoder), _spans(decoder)
        self.longest = max((*encoder.lengths, *decoder.lengths))
        self._biases: dict[tuple[int, bool], Tensor] = {}

    def attend(
        self, module: nn.Module, states: tuple[Tensor, Tensor, Tensor], bias: Tensor, dropout: float
    ) -> Tensor:
        """Return the attention of all sequences (1, heads, tokens, dim); T5 does not scale its scores."""
        query, key, value = states
        causal = bool(module.is_decoder)
        crossing = bool(getattr(module, "crosses", False))
        asking = self.decoder if causal else self.encoder
        asked = self.encoder if crossing else asking
        parts = []
        for (start, stop), (first, last) in zip(asking, asked, strict=True):
            mask = None if crossing else self._bias(stop - start, bias, causal)
            parts.append(
                F.scaled_dot_product_attention(
                    query[:, :, start:stop],
                    key[:, :, first:last],
                    value[:, :, first:last],
                    attn_mask=mask,
                    dropout_p=dropout,
                    scale=1.0,
                )
            )
        return torch.cat(parts, dim=2)

    def _bias(self, length: int, by_distance: Tensor, causal: bool) -> Tensor:
        """Return (1, heads, length, length) from (heads, 2 * longest - 1); shared by all layers of a stack."""
        if (length, causal) not in self._biases:
            place = torch.arange(length, device=by_distance.device)
            distance = place[None, :] - place[:, None] + self.longest - 1
            bias = by_distance[:, distance][None]
            if causal:
                later = torch.ones(length, length, dtype=torch.bool, device=bias.device).triu(1)
                bias = bias.masked_fill(later, float("-inf"))
            self._biases[length, causal] = bias
        return self._biases[length, causal]


def _spans(packed: Packed) -> Spans:
    ends = packed.offsets.tolist()
    return list(itertools.pairwise(ends))


def _attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    **keywords: Any,
) -> tuple[Tensor, None]:
    """Attend within packed sequences (transformers' calling convention for T5)."""
    layout: T5Layout = keywords["packed"]
    output = layout.attend(
        module, (query, key, value), keywords["position_bias"], keywords.get("dropout", 0.0)
    )
    return output.transpose(1, 2), None


AttentionInterface.register(NAME, _attention)


@contextmanager
def bias_by_distance(model: nn.Module, layout: T5Layout) -> Iterator[None]:
    """Let the layer-0 attentions give their bias per distance, and cross-attentions none, while this lasts."""
    changed = [module for module in model.modules() if hasattr(module, "compute_bias")]
    for module in changed:
        crosses = not module.has_relative_attention_bias and _is_cross(module, model)
        module.crosses = crosses
        module.compute_bias = _nothing(module) if crosses else _by_distance(module, layout.longest)
        if crosses:
            module.has_relative_attention_bias = True
    try:
        yield
    finally:
        for module in changed:
            del module.compute_bias
            if module.crosses:
                module.has_relative_attention_bias = False
            del module.crosses


def _is_cross(module: nn.Module, model: nn.Module) -> bool:
    return any(module is getattr(parent, "EncDecAttention", None) for parent in model.modules())


def _nothing(module: nn.Module) -> Any:
    weight = module.q.weight
    return lambda *_, **__: torch.zeros(1, dtype=weight.dtype, device=weight.device)


def _by_distance(module: Any, longest: int) -> Any:
    """Return a function that gives the bias (heads, 2 * longest - 1) of distances -longest + 1 to longest - 1."""

    def bias(*_: Any, **__: Any) -> Tensor:
        table: nn.Embedding = module.relative_attention_bias
        distance = torch.arange(-longest + 1, longest, device=table.weight.device)
        bucket = module._relative_position_bucket(
            distance,
            bidirectional=not module.is_decoder,
            num_buckets=module.relative_attention_num_buckets,
            max_distance=module.relative_attention_max_distance,
        )
        values: Tensor = table(bucket)
        return values.T

    return bias
