"""What the model reads in one forward pass: token sequences laid end to end, without padding."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

Layout = TypeVar("Layout", "Packed", "MicroBatch")
NO_PARENT = -1


@dataclass(frozen=True, slots=True)
class Packed:
    """Segments of tokens, end to end. A segment attends causally to itself and to all of its parent.

    Without grouping a segment is a sequence and has no parent. With `grouping=task`, a prefix that several
    sequences share is a segment of its own, written once before them, and their parent; the tree is two
    deep at most: a parent has no parent.

    ids        [total] int64
    positions  [total] int64: place in the whole sequence (a segment with a parent goes on where it ends)
    offsets    [segments + 1] int32: segment s is ids[offsets[s]:offsets[s + 1]] (`cu_seqlens`)
    lengths    the segments' lengths, on the host
    parents    per segment its parent's index, or NO_PARENT
    """

    ids: Tensor
    positions: Tensor
    offsets: Tensor
    lengths: tuple[int, ...]
    parents: tuple[int, ...]

    @property
    def total(self) -> int:
        """Number of tokens."""
        return sum(self.lengths)

    @property
    def spans(self) -> list[tuple[int, int]]:
        """Where each segment starts and stops; nothing is read from a GPU for it."""
        return list(itertools.pairwise(itertools.accumulate(self.lengths, initial=0)))

    @property
    def longest(self) -> int:
        """The tokens of the longest sequence, its parent's counted."""
        before = (0 if parent == NO_PARENT else self.lengths[parent] for parent in self.parents)
        return max(map(sum, zip(self.lengths, before, strict=True)))

    @property
    def padding(self) -> int:
        """Places that `pad` would fill up."""
        return max(self.lengths) * len(self.lengths) - self.total

    @property
    def grouped(self) -> bool:
        """Whether any segment has a parent."""
        return any(parent != NO_PARENT for parent in self.parents)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Packed:
        """Return the same on `device`."""
        return _each(self, lambda tensor: tensor.to(device, non_blocking=non_blocking))


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """Examples of one forward and backward pass.

    Decoder-only: `decoder` holds source + target without its last token (nothing is predicted from it),
    `encoder` is None. Encoder-decoder: `encoder` holds the sources, one segment an example, in the order
    of `decoder`'s segments, which hold the start token + target without its last token.

    examples   [n] int64: the examples' places among the fit's prompts, in the order they are packed
    rows       [m] int64: places in `decoder.ids` whose hidden state predicts a target token
    labels     [m] int64: the target token predicted there (the end token is one)
    owners     [m] int64: which of the n examples it belongs to; -1 for a prompt token that several share
    weights    [m] fp32: what it counts; None where there are target tokens alone, and each counts 1
    decoder_owners   per segment of `decoder` its example among the n, or -1 for a shared prefix
    """

    decoder: Packed
    examples: Tensor
    rows: Tensor
    labels: Tensor
    owners: Tensor
    decoder_owners: tuple[int, ...]
    encoder: Packed | None = None
    weights: Tensor | None = None

    @property
    def tokens(self) -> int:
        """Number of real tokens that go through the model."""
        return self.decoder.total + (self.encoder.total if self.encoder else 0)

    @property
    def padding(self) -> int:
        """Places filled up where sequences are laid side by side."""
        return self.decoder.padding + (self.encoder.padding if self.encoder else 0)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> MicroBatch:
        """Return the same on `device`."""
        return _each(self, lambda tensor: tensor.to(device, non_blocking=non_blocking))


@dataclass(frozen=True, slots=True)
class EffectiveBatch:
    """One optimiser step: all examples of it that this process works on, as micro-batches.

    `target_tokens`, `examples` and `tokens` count the whole step, over all processes: the step's loss is the sum
    over target tokens divided by `target_tokens`, whatever the number of micro-batches and processes.
    `tokens` counts the real tokens as if no examples shared a prefix.
    `weight`: what its tokens count together, where prompt tokens count too; the step's loss is then divided by that.
    `micro_batches` is empty where the last step of an epoch has fewer examples than there are processes.
    """

    micro_batches: tuple[MicroBatch, ...]
    step: int
    epoch: float
    examples: int
    target_tokens: int
    tokens: int
    weight: float = 0.0

    def to(self, device: torch.device | str, non_blocking: bool = False) -> EffectiveBatch:
        """Return the same on `device` (Lightning calls this)."""
        moved = tuple(batch.to(device, non_blocking) for batch in self.micro_batches)
        return replace(self, micro_batches=moved)

    def pin_memory(self) -> EffectiveBatch:
        """Return the same in page-locked memory (the data loader calls this)."""
        return replace(self, micro_batches=tuple(_each(batch, _pinned) for batch in self.micro_batches))


def pad(packed: Packed, fill: int) -> tuple[Tensor, Tensor]:
    """Lay sequences side by side: ids [n, longest] filled up at the right with `fill`, and mask [n, longest].

    For `data.packing=false` and for attention that knows no packed layout; without shared prefixes only.
    """
    mask = torch.arange(max(packed.lengths), device=packed.ids.device) < packed.offsets.diff()[:, None]
    ids = torch.full(mask.shape, fill, dtype=packed.ids.dtype, device=packed.ids.device)
    ids[mask] = packed.ids  # the mask's places are counted row by row, as the segments follow one another
    return ids, mask


def _each(batch: Layout, change: Callable[[Tensor], Tensor]) -> Layout:
    """Apply `change` to every tensor of a layout, those of its parts included."""
    changes: dict[str, Any] = {}
    for item in fields(batch):
        value = getattr(batch, item.name)
        if isinstance(value, Tensor):
            changes[item.name] = change(value)
        elif isinstance(value, Packed):
            changes[item.name] = _each(value, change)
    return replace(batch, **changes)


def _pinned(tensor: Tensor) -> Tensor:
    """Copy a tensor into page-locked memory."""
    return tensor.pin_memory()
