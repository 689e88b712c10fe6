"""Attention of a whole batch on a GPU: a few kernel calls a layer, where a call a segment is bound by launches.

Without a bias, FlashAttention's kernels for sequences of unequal length take all segments at once; a segment behind a
prefix sees the prefix's keys, gathered before its own, and the kernels hide the future from the end on, as it should
be. T5's learned bias is known to no such kernel: its sequences are laid side by side in groups of like length.
(FlexAttention would add the bias's gradient up by atomics, in another order each time.)
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, chain, pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from instruct_ablate.data.micro_batch import NO_PARENT
from instruct_ablate.errors import first_line
from instruct_ablate.model.torch_internals import flash_attention

log = logging.getLogger(__name__)
HALVES = (torch.bfloat16, torch.float16)  # what FlashAttention's kernels compute in
WASTE, NEAR = (
    1.25,
    32,
)  # of a group the longest is so many times the shortest at most, or so many tokens longer
MULTIPLE = 16  # of which a group's length is one: kernels would copy a mask that is not
WIDER = 8  # channels added to hide keys: kernels want the number divisible by 8
HIDDEN = -1e4  # a score so low that its weight is 0


@dataclass(frozen=True, slots=True)
class Sequences:
    """Which keys each sequence of queries sees, as the kernels want it.

    `queries` and `keys` are offsets (sequences + 1) in int32; `order` says which token each key is, None: as they lie.
    """

    queries: Tensor
    keys: Tensor
    longest_query: int
    longest_key: int
    order: Tensor | None = None

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, scale: float, causal: bool, window: int | None = None
    ) -> Tensor:
        """Return (1, tokens, heads, dim) from (1, heads, tokens, dim) each.

        `causal` hides the future, the last query standing at the last key; `window` counts a query's own place.
        """
        flat = [states[0].transpose(0, 1) for states in (query, key, value)]
        if self.order is not None:
            flat[1:] = [states.index_select(0, self.order) for states in flat[1:]]
        lengths = (self.queries, self.keys, self.longest_query, self.longest_key)
        reach = (-1 if window is None else window - 1, 0) if causal else (-1, -1)
        return in_one_order(flash_attention(flat[0], flat[1], flat[2], lengths, scale, reach))[None]


def in_one_order(output: Tensor) -> Tensor:
    """Let gradients of an attention kernel's output be added up in the same order each time, for the bits of a fit.

    Where kernels without such an order may run, with a warning (`warn_only`), those of attention take any order, though
    they know one. So all must have one while this kernel's backward pass is started.
    """
    node = output.grad_fn
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    if node is not None and torch.are_deterministic_algorithms_enabled() and warns:
        node.register_prehook(lambda *_: torch.use_deterministic_algorithms(True))
        node.register_hook(lambda *_: torch.use_deterministic_algorithms(True, warn_only=True))
    return output


@contextmanager
def determinism_put_back() -> Iterator[None]:
    """Put back which algorithms were asked for: `in_one_order` leaves its own where a backward pass breaks off."""
    asked, warns = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(asked, warn_only=warns)


def gathered(queries: Sequence[int], seen: Sequence[Sequence[int]], device: torch.device) -> Sequences:
    """Let so many neighbouring queries each see the keys at these places, in their order."""
    order = torch.tensor([*chain.from_iterable(seen)], dtype=torch.int64)
    keys = [len(places) for places in seen]
    lengths = (_offsets(queries, device), _offsets(keys, device), max(queries), max(keys))
    return Sequences(*lengths, order.to(device))


def behind_parents(lengths: Sequence[int], parents: Sequence[int], device: torch.device) -> Sequences:
    """Let each segment see its parent, whole, and itself."""
    if all(parent == NO_PARENT for parent in parents):
        return beside(lengths, lengths, device)
    spans = [range(first, last) for first, last in pairwise(accumulate(lengths, initial=0))]
    before: list[Sequence[int]] = [() if parent == NO_PARENT else spans[parent] for parent in parents]
    return gathered(lengths, [[*more, *own] for more, own in zip(before, spans, strict=True)], device)


def beside(queries: Sequence[int], keys: Sequence[int], device: torch.device) -> Sequences:
    """Let each sequence of queries see the keys of the same place."""
    return Sequences(_offsets(queries, device), _offsets(keys, device), max(queries), max(keys))


def _offsets(lengths: Sequence[int], device: torch.device) -> Tensor:
    return torch.tensor([0, *accumulate(lengths)], dtype=torch.int32, device=device)


def takes_whole_batches(query: Tensor, key: Tensor) -> bool:
    """Whether the kernels for unequal lengths are there for such heads, by trying them once."""
    if query.device.type != "cuda" or query.dtype not in HALVES:
        return False
    return _works(query.device, query.dtype, (query.shape[1], key.shape[1], query.shape[-1]))


@cache
def _works(device: torch.device, dtype: torch.dtype, sizes: tuple[int, int, int]) -> bool:
    """Try two segments, one behind the other, and compare values and gradients with PyTorch's plain attention."""
    try:
        # Not the hooks of activation checkpointing, in which this may happen: they count what is saved.
        with (
            torch.inference_mode(False),
            torch.enable_grad(),
            torch.autograd.graph.saved_tensors_hooks(_same, _same),
        ):
            return all(_agrees(device, dtype, sizes, window) for window in (None, 4))
    except (RuntimeError, NotImplementedError, TypeError, AttributeError) as error:
        reason = first_line(error)
        log.warning("attention takes a kernel call a segment: FlashAttention is not to be had (%s)", reason)
        return False


def _same(states: Tensor) -> Tensor:
    return states


def _agrees(
    device: torch.device, dtype: torch.dtype, sizes: tuple[int, int, int], window: int | None
) -> bool:
    heads, groups, dim = sizes
    draw, scale = torch.Generator(device="cpu").manual_seed(0), dim**-0.5
    trial = [
        torch.randn(1, count, 11, dim, generator=draw).to(device, dtype).requires_grad_()
        for count in (heads, groups, groups)
    ]
    segments = behind_parents([5, 6], [NO_PARENT, 0], device)
    found = segments.attend(trial[0], trial[1], trial[2], scale, causal=True, window=window)
    # Behind its parent the second segment sees what it would in one causal sequence of both.
    plain = [states.detach().float().requires_grad_() for states in trial]
    wide = [states.repeat_interleave(heads // states.shape[1], 1) for states in plain]
    seen = torch.ones(11, 11, dtype=torch.bool, device=device).tril().triu(1 - (window or 11))
    wanted = F.scaled_dot_product_attention(wide[0], wide[1], wide[2], attn_mask=seen, scale=scale).transpose(
        1, 2
    )
    slopes = torch.randn(wanted.shape, generator=draw).to(device)
    pairs = [(found, wanted)]
    pairs += zip(
        torch.autograd.grad(found, trial, slopes.to(dtype)),
        torch.autograd.grad(wanted, plain, slopes),
        strict=True,
    )
    return all(bool((one.float() - other).abs().max() < 0.1 * other.abs().max()) for one, other in pairs)


@dataclass(frozen=True, slots=True)
class Group:
    """Sequences of like length, side by side: `first` to `last` of the padded places, `count` rows of `length`."""

    first: int
    last: int
    count: int
    length: int


class SideBySide:
    """Attention with a bias by distance: sequences in a few groups, each filled up to its longest."""

    def __init__(self, lengths: Sequence[int], device: torch.device) -> None:
        starts = list(accumulate(lengths, initial=0))
        self.groups: list[Group] = []
        places: list[Tensor] = []
        filled = 0
        for members in alike(lengths):
            length = -(-lengths[members[0]] // MULTIPLE) * MULTIPLE
            for member in members:
                row = torch.full((length,), -1)
                row[: lengths[member]] = torch.arange(starts[member], starts[member + 1])
                places.append(row)
            self.groups.append(Group(filled, filled + length * len(members), len(members), length))
            filled = self.groups[-1].last
        there = torch.cat(places)
        back = torch.empty(starts[-1], dtype=torch.int64)
        back[there[there >= 0]] = (there >= 0).nonzero()[:, 0]
        self.there, self.back = there.to(device), back.to(device)

    def attend(self, query: Tensor, key: Tensor, value: Tensor, bias: Tensor, causal: bool) -> Tensor:
        """Return (1, tokens, heads, dim) from (1, heads, tokens, dim) each; T5 does not scale its scores.

        `bias` (heads, longest, longest): each group has the corner of its length.
        """
        query, key, value = (
            moved(states[0].transpose(0, 1), self.there, self.back) for states in (query, key, value)
        )
        # One more channel hides the keys that fill up: a mask of its own would be a square for every sequence.
        ones = query.new_ones(len(query), query.shape[1], WIDER)
        shown = torch.zeros_like(ones)
        shown[..., 0] = torch.where(self.there < 0, HIDDEN, 0.0)[:, None].to(shown.dtype)
        query, key = torch.cat([query, ones], -1), torch.cat([key, shown], -1)
        parts = []
        for group in self.groups:
            own, keys, values = (self._rows(states, group) for states in (query, key, value))
            mask = bias_of(bias, group.length, causal, query.dtype).expand(group.count, -1, -1, -1)
            part = in_one_order(F.scaled_dot_product_attention(own, keys, values, attn_mask=mask, scale=1.0))
            parts.append(part.transpose(1, 2).flatten(0, 1))
        return moved(torch.cat(parts), self.back, self.there)[None]

    @staticmethod
    def _rows(states: Tensor, group: Group) -> Tensor:
        cut = states[group.first : group.last]
        return cut.view(group.count, group.length, *states.shape[1:]).transpose(1, 2)


def alike(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Divide sequences into groups of like length, the longest first in each."""
    group: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda one: (-lengths[one], one)):
        if group and lengths[group[0]] > max(WASTE * lengths[place], lengths[place] + NEAR):
            yield group
            group = []
        group.append(place)
    if group:
        yield group


def bias_of(bias: Tensor, length: int, causal: bool, dtype: torch.dtype) -> Tensor:
    """Return the corner (1, heads, length, length) of the bias that sequences of a length need, their future hidden."""
    mask = bias[None, :, :length, :length].to(dtype)
    mask = F.pad(mask, (0, length - mask.shape[-1], 0, length - mask.shape[-1]))
    if causal:
        later = torch.ones(length, length, dtype=torch.bool, device=bias.device).triu(1)
        mask = mask.masked_fill(later, float("-inf"))
    return mask


def moved(states: Tensor, there: Tensor, back: Tensor) -> Tensor:
    """Return rows `there` of states, zeros for -1; `back`: where each row of the states has gone."""
    result: Tensor = _Moved.apply(states, there, back)  # type: ignore[no-untyped-call]
    return result


class _Moved(torch.autograd.Function):
    """Rows put elsewhere, zeros where -1 stands; gradients come back by the inverse, without adding anything up."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, there: Tensor, back: Tensor) -> Tensor:
        ctx.save_for_backward(there, back)
        return _taken(states, there)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        _, back = ctx.saved_tensors
        return _taken(gradients[0], back), None, None


def _taken(states: Tensor, places: Tensor) -> Tensor:
    taken = states.index_select(0, places.clamp(min=0))
    return taken.masked_fill_((places < 0).view(-1, *[1] * (states.dim() - 1)), 0.0)
