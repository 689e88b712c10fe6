"""Dropout masks made of counters: the same however a step is divided among micro-batches and devices.

Whether a value is dropped is a hash of seed, step, example, side, place in the sequence, site and channel, as the
counter-based generators of Salmon et al. (2011) draw; nothing is kept for the backward pass, which makes it again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

ROWS = 256  # tokens whose masks exist at a time
_MIX = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))  # splitmix64
_SHORT = ((16, 0x7FEB352D), (15, 0x846CA68B))  # a 32-bit finaliser of little bias (Wellons)


def signed(value: int, bits: int = 64) -> int:
    """Return the number that the lowest bits mean with a sign, as tensors have it."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def mixed(values: Tensor) -> Tensor:
    """Hash 64-bit numbers one by one."""
    for shift, factor in _MIX:
        values = (values ^ _shifted(values, shift)) * signed(factor)
    return values ^ _shifted(values, 31)


def _shifted(values: Tensor, bits: int) -> Tensor:
    return (values >> bits) & ((1 << (64 - bits)) - 1)


def places(examples: Tensor, positions: Tensor, fit: int, side: int) -> Tensor:
    """Return a 64-bit number for each token; `fit` stands for the seed and the step."""
    # Doubled, so that no place in a source has the number of one in a target.
    return mixed(mixed(examples ^ signed(fit)) ^ (2 * positions + side))


@dataclass(frozen=True, slots=True)
class Site:
    """The tokens' 64-bit numbers at one place of the model, in halves, and the share that is dropped."""

    first: Tensor
    second: Tensor
    rate: float

    @classmethod
    def of(cls, tokens: Tensor, site: int, rate: float) -> Site:
        """Mix the site in."""
        halves = mixed(tokens ^ signed(site)).view(torch.int32).view(-1, 2)
        return cls(halves[:, 0].contiguous(), halves[:, 1].contiguous(), rate)

    @property
    def scale(self) -> float:
        """What values that stay are multiplied with."""
        return 1 / (1 - self.rate)

    def states(self, states: Tensor) -> Tensor:
        """Drop channels of (1, tokens, channels)."""
        result: Tensor = _Drop.apply(states, self)  # type: ignore[no-untyped-call]
        return result

    def kept(self, shape: tuple[int, int, int], first: int, last: int, skipped: int = 0) -> Tensor:
        """Return which attention weights stay: those of queries `first` to `last`, (key heads, rows, seen).

        A query's rows, one for each head that shares the keys, stand together; `skipped` keys stand before those seen.
        """
        count, rows, seen = shape
        group = rows // (last - first)
        one, other = (
            half[first:last].repeat_interleave(group)[None, :, None] for half in (self.first, self.second)
        )
        heads = _channels(count * group, 1, str(one.device)).view(count, group).repeat(1, last - first)
        channels = heads[:, :, None] ^ _channels(skipped + seen, 0, str(one.device))[skipped:]
        return _kept(one, other, channels, self.rate)


class _Drop(torch.autograd.Function):
    """Channels set to zero, the others scaled; the backward pass does the same to gradients."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, site: Site) -> Tensor:
        ctx.save_for_backward(site.first, site.second)
        ctx.rate = site.rate
        return _dropped(states, site)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        first, second = ctx.saved_tensors
        return _dropped(gradients[0], Site(first, second, ctx.rate)), None


def _dropped(states: Tensor, site: Site) -> Tensor:
    flat = states.reshape(-1, states.shape[-1])
    output, channels = torch.empty_like(flat), _channels(flat.shape[-1], 0, str(flat.device))
    for start in range(0, len(flat), ROWS):
        rows = slice(start, start + ROWS)
        stays = _kept(site.first[rows, None], site.second[rows, None], channels, site.rate)
        output[rows] = (flat[rows] * site.scale).mul_(stays)
    return output.view_as(states)


def _kept(first: Tensor, second: Tensor, channels: Tensor, rate: float) -> Tensor:
    """Return which values stay, by 32-bit hashes of tokens and channels."""
    drawn = first ^ channels
    for shift, factor in _SHORT:
        drawn.bitwise_xor_((drawn >> shift) & ((1 << (32 - shift)) - 1)).mul_(signed(factor, 32))
    drawn.bitwise_xor_(second)
    for shift, factor in _SHORT:
        drawn.bitwise_xor_((drawn >> shift) & ((1 << (32 - shift)) - 1)).mul_(signed(factor, 32))
    # As 32-bit numbers with a sign these begin at -2^31: the lowest share of them is dropped.
    return drawn >= round(rate * 2**32) - 2**31


@lru_cache(maxsize=64)
def _channels(count: int, kind: int, device: str) -> Tensor:
    """Return a 32-bit number for each channel; `kind` tells heads from what they look at."""
    numbers = torch.arange(count, device=device, dtype=torch.int64)
    return (
        # splitmix64's own increment: without it the hash of 0 would be 0.
        mixed((2 * numbers + kind) ^ signed(0x9E3779B97F4A7C15))
        .view(torch.int32)
        .view(-1, 2)[:, 0]
        .contiguous()
    )
