"""What the model side takes from inside transformers: private names, and methods it replaces; nowhere else.

Each has a test that says what broke when a new version moves it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn


@contextmanager
def attending(model: Any, name: str) -> Iterator[None]:
    """Let `model` attend by the function registered as `name`; its former attention comes back."""
    former = model.config._attn_implementation
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
    """Let modules call functions of ours in place of a method of theirs while this lasts."""
    for module, function in functions.items():
        setattr(module, method, function)
    try:
        yield
    finally:
        for module in functions:
            delattr(module, method)


def bias_attention(stack: Any) -> Any:
    """Return the self-attention that holds the relative position bias of a T5 stack: its first layer's."""
    return stack.block[0].layer[0].SelfAttention


def position_buckets(attention: Any, distance: Tensor) -> Tensor:
    """Return the bucket of T5's relative position bias that each distance falls into."""
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
