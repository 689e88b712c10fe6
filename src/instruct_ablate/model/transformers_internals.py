"""What the model side takes from inside transformers: private names, and methods it replaces; nowhere else.

Each has a test that says what broke when a new version moves it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn


@contextmanager
def attending(model: Any, name: str) -> Iterator[None]:
    """Let `model` attend by the function registered as `name`; its former attention comes back.

    Nothing is done where it attends so already: transformers looks at every module, which takes as long as a layer of a
    decoding step.
    """
    former = model.config._attn_implementation
    if former == name:
        yield
        return
    model.set_attn_implementation(name)
    try:
        yield
    finally:
        model.set_attn_implementation(former)


def takes_registered_attention(model: Any) -> bool:
    """Whether the family's layers take their attention from transformers' interface."""
    return bool(type(model)._supports_attention_backend)


@contextmanager
def replaced(method: str, functions: Mapping[nn.Module, Callable[..., Any]]) -> Iterator[None]:
    """Let modules call functions of ours in place of a method of theirs while this lasts; those of before come back.

    They are put where a module keeps what is no weight and no part of it, past its look among those: steps do this for
    every layer.
    """
    former = {module: vars(module).get(method) for module in functions}
    for module, function in functions.items():
        vars(module)[method] = function
    try:
        yield
    finally:
        for module, before in former.items():
            if before is None:
                del vars(module)[method]
            else:
                vars(module)[method] = before


def bias_attentions(stack: Any) -> list[Any]:
    """Return for each layer of a T5 stack the self-attention with its relative position bias.

    T5's first layer has it for all; UMT5's layers each have their own.
    """
    own = [block.layer[0].SelfAttention for block in stack.block]
    return [one if one.has_relative_attention_bias else own[0] for one in own]


def of_each_layer(stack: Any, made: Callable[[Any], Tensor]) -> list[Tensor]:
    """Return what is made of the bias of each layer of a T5 stack, made once where layers share it."""
    holders = bias_attentions(stack)
    results = {holder: made(holder) for holder in dict.fromkeys(holders)}
    return [results[holder] for holder in holders]


def t5_block(block: Any, states: Tensor, bias: Tensor | None, encoded: Tensor | None, **keywords: Any) -> Any:
    """Run a block of a T5 stack without masks; return the states and the bias for the next one."""
    if block.layer[0].SelfAttention.config.model_type == "umt5":  # which makes its bias itself
        return block(states, encoder_hidden_states=encoded, **keywords), None
    # Something must stand in for cross-attention's bias, or each layer would make a square of zeros.
    return block(states, None, bias, encoded, None, states.new_zeros(1), **keywords)[:2]


def position_buckets(attention: Any, distance: Tensor) -> Tensor:
    """Return the bucket of T5's relative position bias that each distance falls into."""
    if attention.config.model_type == "umt5":
        return torch.as_tensor(attention._relative_position_bucket(distance))
    buckets: Tensor = attention._relative_position_bucket(
        distance,
        bidirectional=not attention.is_decoder,
        num_buckets=attention.relative_attention_num_buckets,
        max_distance=attention.relative_attention_max_distance,
    )
    return buckets


def scales_decoder_outputs(model: Any) -> bool:
    """Whether a T5 scales its decoder's states before the output layer: where that is tied, but never mT5's."""
    return bool(model.config.to_dict().get("scale_decoder_outputs", False))


@contextmanager
def conversion_bars_on_terminals_alone() -> Iterator[None]:
    """Keep the bar of the conversion of GGUF files, which heeds no setting of transformers, out of a job's log."""
    from transformers import modeling_gguf_pytorch_utils as converting

    shown = converting.tqdm
    converting.tqdm = partial(shown, disable=None)  # None: where standard error is no terminal
    try:
        yield
    finally:
        converting.tqdm = shown
