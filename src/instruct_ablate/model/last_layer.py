"""The last layer for those tokens alone whose output is used; of all others it needs keys and values, no more.

A decoder-only model predicts targets and next tokens from a few places: behind the last layer the other tokens' states
are thrown away. Its queries, output projection and feed-forward network are left out for them. The layer's own code
runs twice: on all tokens up to its attention, for keys and values, and on the tokens wanted.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from instruct_ablate.model.transformers_internals import replaced

TURN = "last_layer_turn"  # the keyword by which attention is told
FEW = 0.75  # of the tokens: where more are wanted, what is left out is less than what is done twice
# What a decoder layer may be given: of the tokens, whose it is to be cut, or nothing that tells them apart.
OF_TOKENS = ("position_embeddings", "position_ids")
KNOWN = {
    "self", "hidden_states", "attention_mask", "cache", "layer_past", "use_cache", "kwargs", "encoder_hidden_states",
    "encoder_attention_mask", *OF_TOKENS,
}  # fmt: skip
QUERIES, KEYS = ("q_proj",), ("k_proj", "v_proj")


@dataclass
class Turn:
    """One run of the last layer: without `pair` that for keys and values, with it that for the tokens wanted."""

    pair: tuple[Tensor, Tensor] | None = None


class KeysSeen(Exception):  # noqa: N818 - no error
    """Keys and values are known: the rest of the layer need not run."""


def taking_turns(attention: Callable[..., Any]) -> Callable[..., Any]:
    """Let an attention function (in transformers' convention) give the wanted tokens the keys and values of all."""

    def attend(
        module: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Any, **keywords: Any
    ) -> Any:
        turn: Turn | None = keywords.pop(TURN, None)
        if turn is None:
            return attention(module, query, key, value, mask, **keywords)
        if turn.pair is None:
            turn.pair = key, value
            raise KeysSeen
        return attention(module, query, *turn.pair, mask, **keywords)

    return attend


def few(wanted: Tensor, tokens: int) -> Tensor | None:
    """Return the places wanted of so many tokens where leaving out the others pays; else None."""
    return wanted if len(wanted) <= FEW * tokens else None


def spread(query: Tensor, wanted: Tensor, tokens: int) -> Tensor:
    """Return queries (1, heads, wanted, dim) among so many, those of other tokens being zero."""
    return query.new_zeros(*query.shape[:2], tokens, query.shape[3]).index_copy(2, wanted, query)


@contextmanager
def shortened(model: Any, layout: str) -> Iterator[bool]:
    """Let the last layer run for the tokens that the attention's layout wants; gives whether it can.

    `layout`: the keyword by which forward passes hand the layout down; its `wanted` are places in the packed sequence,
    None for all. Attention then gets the queries of these alone. States of other tokens come out as zeros.
    """
    layer = last_layer(model)
    if layer is None:
        yield False
        return
    with replaced("forward", {layer: _short(layer, layout)}):
        yield True


def last_layer(model: Any) -> Any | None:
    """Return the last layer of a decoder-only model whose parts are those that are known here, else None."""
    stack = model.get_decoder()
    layers = next(
        (found for name in ("layers", "h") if (found := getattr(stack, name, None)) is not None), None
    )
    if model.config.is_encoder_decoder or not isinstance(layers, nn.ModuleList) or len(layers) < 1:
        return None
    layer = layers[-1]
    attentions = [part for part in layer.children() if hasattr(part, "layer_idx")]
    given = set(inspect.signature(type(layer).forward).parameters)
    known = given <= KNOWN and len(attentions) == 1 and "forward" not in vars(layer)
    return layer if known else None


def _short(layer: Any, layout: str) -> Callable[..., Tensor]:
    whole = layer.forward
    # Without transformers' recomputing of activations around it: there are few here, and what lies idle would be awake.
    plain = inspect.unwrap(type(layer).forward)

    def forward(states: Tensor, *given: Any, **keywords: Any) -> Tensor:
        wanted: Tensor | None = keywords[layout].wanted
        if wanted is None or _draws(layer) or not _fits(states, keywords):
            result: Tensor = whole(states, *given, **keywords)
            return result
        turn = Turn()
        try:
            with _idle(layer, QUERIES):
                plain(layer, states, *given, **{**keywords, TURN: turn})
        except KeysSeen:
            pass
        own = {name: _cut(keywords[name], wanted) for name in OF_TOKENS if keywords.get(name) is not None}
        with _idle(layer, KEYS):
            rows = plain(layer, states.index_select(1, wanted), *given, **{**keywords, **own, TURN: turn})
        return torch.zeros_like(states).index_copy(1, wanted, rows)

    return forward


def _draws(layer: nn.Module) -> bool:
    """Whether the layer drops something: fewer tokens would draw other random numbers."""
    return any(isinstance(part, nn.Dropout) and part.p > 0 and part.training for part in layer.modules())


def _fits(states: Tensor, keywords: dict[str, Any]) -> bool:
    """Whether what is of the tokens can be cut as they are."""
    given = [keywords[name] for name in OF_TOKENS if keywords.get(name) is not None]
    parts = [part for one in given for part in (one if isinstance(one, tuple) else (one,))]
    return all(isinstance(part, Tensor) and part.shape[:2] == states.shape[:2] for part in parts)


def _cut(given: Any, wanted: Tensor) -> Any:
    if isinstance(given, tuple):
        return tuple(_cut(part, wanted) for part in given)
    return given.index_select(1, wanted)


def _idle(layer: nn.Module, names: tuple[str, ...]) -> Any:
    """Let projections give zeros without computing: nothing is made of what they give."""

    def zeros(part: Any) -> Callable[[Tensor], Tensor]:
        return lambda states: states.new_zeros(1).expand(*states.shape[:-1], part.out_features)

    parts = [part for name, part in layer.named_modules() if name.rpartition(".")[2] in names]
    return replaced("forward", {part: zeros(part) for part in parts if hasattr(part, "out_features")})
