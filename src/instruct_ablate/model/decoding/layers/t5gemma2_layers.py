"""T5Gemma 2's layers on packed sources and on target tokens, as `t5_layers` has T5's.

Encoder layers see both ways, all tokens or those of a window; a decoder layer attends once, to the target so far (all
of it or a window) and the whole source together (Zhang et al. 2025, T5Gemma 2: merged attention).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from instruct_ablate.model.attention_scores import sees_both_ways
from instruct_ablate.model.decoding.layers.attention import Pair, Run, filled_up
from instruct_ablate.model.decoding.layers.target import Target

Turns = dict[str, tuple[Tensor, Tensor]]  # a kind of layer's cosines and sines of places


def encode(model: Any, ids: Tensor, runs: list[Run]) -> Tensor:
    """Return the encoder's output (tokens, width) for packed sources."""
    stack = model.get_encoder().text_model
    places = torch.cat([torch.arange(run.length, device=ids.device).repeat(run.rows) for run in runs])
    states = stack.embed_tokens(ids[None])
    turns = _turns(stack, states, places[None])
    for layer in stack.layers:
        attention, normed = layer.self_attn, layer.pre_self_attn_layernorm(states)
        query, key = _queries(attention, normed, turns), _keys(attention, normed, turns)
        states = _added(
            layer, states, _packed(attention, query, key, _heads(attention.v_proj(normed), key), runs)
        )
    output: Tensor = stack.norm(states)[0]
    return output


def cross_keys(model: Any, encoded: Tensor, runs: list[Run]) -> tuple[list[Pair], Tensor]:
    """Return each decoder layer's keys and values of the sources (rows, kv heads, longest, dim), and who is real."""
    longest = max(run.length for run in runs)
    lengths = torch.tensor([run.length for run in runs for _ in range(run.rows)], device=encoded.device)
    real = torch.arange(longest, device=encoded.device) < lengths[:, None]
    pairs = []
    for layer in model.get_decoder().layers:
        key = _keys(layer.self_attn, encoded[None])
        value = _heads(layer.self_attn.v_proj(encoded[None]), key)
        pairs.append((filled_up(key[0], runs, longest), filled_up(value[0], runs, longest)))
    return pairs, real


def decode(model: Any, ids: Tensor, target: Target, own: Any, cross: list[Pair], real: Tensor) -> Tensor:
    """Return the logits (rows, tokens, vocabulary) of target tokens `ids` (rows, tokens).

    `own(layer, key, value)` gives the target keys and values to see.
    """
    stack = model.get_decoder()
    states = stack.embed_tokens(ids)
    turns = _turns(stack, states, target.places)
    for number, layer in enumerate(stack.layers):
        attention, normed = layer.self_attn, layer.pre_self_attn_layernorm(states)
        key = _keys(attention, normed, turns)
        pair = own(number, key, _heads(attention.v_proj(normed), key))
        unseen = target.unseen(attention.sliding_window)
        query = _queries(attention, normed, turns)
        states = _added(layer, states, _merged(attention, query, pair, unseen, cross[number], ~real))
    logits: Tensor = model.lm_head(stack.norm(states))
    cap = model.config.decoder.final_logit_softcapping
    return logits if cap is None else torch.tanh(logits / cap) * cap


def _added(layer: Any, states: Tensor, attended: Tensor) -> Tensor:
    """Return the states after a layer, of those before it and what its attention gave."""
    states = states + layer.post_self_attn_layernorm(layer.self_attn.o_proj(attended))
    result: Tensor = states + layer.post_feedforward_layernorm(
        layer.mlp(layer.pre_feedforward_layernorm(states))
    )
    return result


def _turns(stack: Any, states: Tensor, places: Tensor) -> Turns:
    """Return by how much each kind of layer turns heads at places (rows or 1, tokens): (rows or 1, 1, tokens, dim)."""
    kinds = set(stack.config.layer_types)
    pairs = {kind: stack.rotary_emb(states, places, kind) for kind in kinds}
    return {kind: (cosine[:, None], sine[:, None]) for kind, (cosine, sine) in pairs.items()}


def _queries(attention: Any, states: Tensor, turns: Turns) -> Tensor:
    """Return (rows, heads, tokens, dim): rotary positions (Su et al. 2021) on normed heads."""
    split = attention.q_proj(states).unflatten(-1, (-1, attention.head_dim)).transpose(-3, -2)
    return _turned(attention.q_norm(split), turns[attention.layer_type])


def _keys(attention: Any, states: Tensor, turns: Turns | None = None) -> Tensor:
    """The same of keys; those of the source, which a decoder sees, are not turned."""
    split = attention.k_proj(states).unflatten(-1, (-1, attention.head_dim)).transpose(-3, -2)
    normed: Tensor = attention.k_norm(split)
    return normed if turns is None else _turned(normed, turns[attention.layer_type])


def _heads(values: Tensor, like: Tensor) -> Tensor:
    """Split values (rows, tokens, heads * dim) as keys are."""
    return values.view(*values.shape[:-1], -1, like.shape[-1]).transpose(-3, -2)


def _turned(states: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    first, second = states.chunk(2, dim=-1)
    return states * turn[0] + torch.cat([-second, first], dim=-1) * turn[1]


def _packed(attention: Any, query: Tensor, key: Tensor, value: Tensor, runs: list[Run]) -> Tensor:
    """Attend within each row: (1, tokens, heads * dim) from (1, heads, tokens, dim) each."""
    parts = []
    for run in runs:
        own, keys, values = (
            states[0, :, run.start : run.stop]
            .reshape(states.shape[1], run.rows, run.length, -1)
            .transpose(0, 1)
            for states in (query, key, value)
        )
        mask = sees_both_ways(run.length, attention.sliding_window, query.device)
        repeats = own.shape[1] // keys.shape[1]
        if (
            repeats > 1 and query.device.type != "cpu"
        ):  # a mask beside grouped heads would fall to a slow kernel
            keys, values = keys.repeat_interleave(repeats, 1), values.repeat_interleave(repeats, 1)
        output = F.scaled_dot_product_attention(
            own,
            keys,
            values,
            attn_mask=mask,
            scale=attention.scaling,
            enable_gqa=own.shape[1] != keys.shape[1],
        )
        parts.append(output.transpose(1, 2).flatten(2).flatten(0, 1))
    return torch.cat(parts)[None]


def _merged(attention: Any, query: Tensor, own: Pair, unseen: Tensor, cross: Pair, missing: Tensor) -> Tensor:
    """Attend to target and source under one softmax: (rows, tokens, heads * dim).

    Products of each on its own: the source's keys are not copied for every token.
    """
    rows, heads, tokens, dim = query.shape
    grouped = query.reshape(rows, own[0].shape[1], -1, dim)  # heads that share keys stand below each other
    group = heads // own[0].shape[1]
    parts = []
    for keys, hidden in ((own[0], unseen), (cross[0], missing[:, None])):
        products = torch.matmul(grouped, keys.transpose(2, 3)).mul_(attention.scaling)
        shown = products.view(rows, -1, group, tokens, keys.shape[2])
        parts.append(shown.masked_fill_(hidden[:, None, None], float("-inf")))
    weights = torch.cat(parts, dim=-1).softmax(-1, dtype=torch.float32).to(query.dtype)
    weights = weights.flatten(2, 3)
    seen = own[1].shape[2]
    output = torch.matmul(weights[..., :seen], own[1]) + torch.matmul(weights[..., seen:], cross[1])
    return output.view(rows, heads, tokens, dim).transpose(1, 2).flatten(2)
