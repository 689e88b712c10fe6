"""T5's layers on packed sources and on one or several target tokens per row: nothing padded in the encoder.

The layers are the model's own modules (adapters inside them act as usual); only the attention between them is
done here, so that sources lie end to end and the keys of the encoder's output are computed once per batch.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from instruct_ablate.model.decoding.layers.attention import Pair, Run, filled_up
from instruct_ablate.model.decoding.layers.target import Target
from instruct_ablate.model.transformers_internals import (
    of_each_layer,
    position_buckets,
    scales_decoder_outputs,
)


def heads(attention: Any, states: Tensor) -> Tensor:
    """Split (..., tokens, heads * dim) into (..., heads, tokens, dim)."""
    shape = (*states.shape[:-1], attention.n_heads, attention.key_value_proj_dim)
    return states.view(shape).transpose(-3, -2)


def encode(model: Any, ids: Tensor, runs: list[Run]) -> Tensor:
    """Return the encoder's output (tokens, width) for packed sources."""
    encoder = model.encoder
    longest = max(run.length for run in runs)
    # In order once: the kernel would copy each cut of it that is not, in each layer.
    biases = of_each_layer(encoder, lambda attention: attention.compute_bias(longest, longest).contiguous())
    states = encoder.embed_tokens(ids)
    for block, bias in zip(encoder.block, biases, strict=True):
        layer = block.layer[0]
        normed = layer.layer_norm(states)
        states = states + _packed(layer.SelfAttention, normed, runs, bias.to(normed.dtype))
        states = block.layer[1](states)
    output: Tensor = encoder.final_layer_norm(states)
    return output


def _packed(attention: Any, states: Tensor, runs: list[Run], bias: Tensor) -> Tensor:
    """Attend within each row; T5 does not scale, and its bias depends on the distance alone."""
    query, key, value = (layer(states) for layer in (attention.q, attention.k, attention.v))
    parts = []
    for run in runs:
        cut = [
            heads(attention, one[run.start : run.stop].view(run.rows, run.length, -1))
            for one in (query, key, value)
        ]
        mask = bias[:, :, : run.length, : run.length]
        output = F.scaled_dot_product_attention(cut[0], cut[1], cut[2], attn_mask=mask, scale=1.0)
        parts.append(output.transpose(1, 2).flatten(2).flatten(0, 1))
    result: Tensor = attention.o(torch.cat(parts))
    return result


def cross_keys(model: Any, encoded: Tensor, runs: list[Run]) -> tuple[list[Pair], Tensor]:
    """Return each decoder layer's keys and values of the sources (rows, heads, longest, dim), and who is real.

    Rows are filled up to the longest one here: for one query token each, that is cheaper than a call per row.
    """
    longest = max(run.length for run in runs)
    lengths = torch.tensor([run.length for run in runs for _ in range(run.rows)], device=encoded.device)
    real = torch.arange(longest, device=encoded.device) < lengths[:, None]
    pairs = []
    for block in model.decoder.block:
        attention = block.layer[1].EncDecAttention
        keys, values = (heads(attention, layer(encoded)) for layer in (attention.k, attention.v))
        pairs.append((filled_up(keys, runs, longest), filled_up(values, runs, longest)))
    return pairs, real


def decode(model: Any, ids: Tensor, target: Target, own: Any, cross: list[Pair], real: Tensor) -> Tensor:
    """Return the logits (rows, tokens, vocabulary) of target tokens `ids` (rows, tokens).

    `own(layer, key, value)` gives the target keys and values to see.
    """
    biases = of_each_layer(model.decoder, lambda attention: _bias(attention, target))
    states = model.decoder.embed_tokens(ids)
    mask = torch.zeros_like(real, dtype=states.dtype).masked_fill(~real, float("-inf"))[:, None, None]
    for number, block in enumerate(model.decoder.block):
        layer = block.layer[0]
        attention, normed = layer.SelfAttention, layer.layer_norm(states)
        pair = own(number, heads(attention, attention.k(normed)), heads(attention, attention.v(normed)))
        states = states + _attend(attention, normed, pair, biases[number].to(normed.dtype))
        layer = block.layer[1]
        states = states + _attend(layer.EncDecAttention, layer.layer_norm(states), cross[number], mask)
        states = block.layer[2](states)
    states = model.decoder.final_layer_norm(states)
    if scales_decoder_outputs(model):
        states = states * model.model_dim**-0.5
    logits: Tensor = model.lm_head(states)
    return logits


def _bias(attention: Any, target: Target) -> Tensor:
    """Return the relative position bias (rows, heads, tokens, keys), minus infinity where a token is not seen."""
    bias: Tensor = attention.relative_attention_bias(position_buckets(attention, target.distance))
    return bias.permute(0, 3, 1, 2).masked_fill(target.unseen()[:, None], float("-inf"))


def _attend(attention: Any, states: Tensor, pair: Pair, bias: Tensor) -> Tensor:
    query = heads(attention, attention.q(states))
    if query.shape[2] > 1:
        output = F.scaled_dot_product_attention(query, pair[0], pair[1], attn_mask=bias, scale=1.0)
    else:  # a single token: two products take a tenth of the fused kernel's time on a CPU in bf16
        weights = (torch.matmul(query, pair[0].transpose(2, 3)) + bias).softmax(-1, dtype=torch.float32)
        output = torch.matmul(weights.to(query.dtype), pair[1])
    result: Tensor = attention.o(output.transpose(1, 2).flatten(2))
    return result
