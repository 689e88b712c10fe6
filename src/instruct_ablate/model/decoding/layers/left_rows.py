"""What is left of batches once few of their rows still write: taken out of their caches, and joined into one.

A step takes nearly the same time for one row as for ten, so that the last rows of several batches had best go on side
by side. Meanwhile their keys and values lie end to end, nothing padded, beside the prefixes that they stand behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from instruct_ablate.model.decoding.layers.attention import Pair
from instruct_ablate.model.decoding.layers.batch import Batch
from instruct_ablate.model.decoding.layers.decoder_only import PackedDecoder
from instruct_ablate.model.decoding.layers.encoder_decoder import EncoderDecoder
from instruct_ablate.model.decoding.layers.kv_cache import PrefixCache, RowCache
from instruct_ablate.model.decoding.layers.ordered_weights import OrderedWeights
from instruct_ablate.model.decoding.layers.step_graph import StepGraph
from instruct_ablate.model.families import T5_LIKE


@dataclass(frozen=True, slots=True)
class Left:
    """Rows that left a cache before their answers had ended.

    `layers`: a layer's keys and values (kv heads, tokens, dim) of all rows, end to end; `prefixes`: those of each
    prefix that `owners` name, (kv heads, length, dim). Of an encoder-decoder also `cross`, each layer's keys and values
    (heads, tokens, dim) of their sources end to end, of `sources` tokens each; else `positions`, of the next tokens.
    """

    owners: tuple[int | None, ...]
    lengths: Tensor  # (rows,), tokens in the cache
    layers: dict[int, Pair]
    prefixes: dict[int, list[Pair]]
    positions: Tensor | None = None
    cross: list[Pair] | None = None
    sources: Tensor | None = None


def taken_out(decoder: PackedDecoder | EncoderDecoder, lines: Sequence[int]) -> Left:
    """Return what a decoder holds of some of its rows, in copies: the decoder may go."""
    assert decoder.cache is not None
    rows = torch.tensor(lines, device=decoder.device)
    owners, lengths, layers, prefixes = _of_cache(decoder.cache, rows)
    if isinstance(decoder, PackedDecoder):
        return Left(owners, lengths, layers, prefixes, decoder.positions[rows])
    sources = decoder.real[rows].sum(1)
    at, places = _packed(rows, torch.zeros_like(sources), sources)
    cross = [_cut(pair, at, places) for pair in decoder.cross]
    return Left(owners, lengths, layers, prefixes, None, cross, sources)


def _of_cache(
    cache: RowCache, rows: Tensor
) -> tuple[tuple[int | None, ...], Tensor, dict[int, Pair], dict[int, list[Pair]]]:
    """Return the rows' prefixes by new numbers, their lengths, their keys and values, and those of the prefixes."""
    former = [cache.owners[row] for row in rows.tolist()]
    used = sorted({owner for owner in former if owner is not None})
    owners = tuple(None if owner is None else used.index(owner) for owner in former)
    starts = cache.starts[rows]
    lengths = cache.end - starts
    at, columns = _packed(rows, starts, lengths)
    layers = {layer: _cut(pair, at, columns) for layer, pair in cache.layers.items()}
    read = cache.prefixes.layers if used else {}
    return owners, lengths, layers, {layer: [pairs[owner] for owner in used] for layer, pairs in read.items()}


def _packed(rows: Tensor, starts: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Return for each token of rows end to end its row and its column, of rows that begin at `starts`."""
    ends = lengths.cumsum(0)
    within = torch.arange(int(lengths.sum()), device=rows.device) - (ends - lengths).repeat_interleave(
        lengths
    )
    return rows.repeat_interleave(lengths), starts.repeat_interleave(lengths) + within


def _cut(pair: Pair, rows: Tensor, columns: Tensor) -> Pair:
    """Return tokens of (rows, heads, columns, dim) each as (heads, tokens, dim)."""
    keys, values = (states[rows, :, columns].transpose(0, 1) for states in pair)
    return keys, values


def joined_cache(parts: Sequence[Left], room: int, steady: bool) -> RowCache:
    """Return a cache of the rows of several parts, in turn, with `room` for further tokens; it empties the parts."""
    sizes = [len({owner for owner in part.owners if owner is not None}) for part in parts]
    first = [sum(sizes[:place]) for place in range(len(parts))]
    owners = [
        None if owner is None else before + owner
        for before, part in zip(first, parts, strict=True)
        for owner in part.owners
    ]
    names = dict.fromkeys(layer for part in parts for layer in part.prefixes)
    pairs = {layer: [pair for part in parts for pair in part.prefixes.get(layer, ())] for layer in names}
    prefixes = PrefixCache([keys.shape[1] for keys, _ in next(iter(pairs.values()), ())])
    prefixes.layers.update(pairs)
    lengths = torch.cat([part.lengths for part in parts])
    cache = RowCache(prefixes, owners, lengths, room, steady)
    everyone = torch.arange(len(lengths), device=lengths.device)
    rows, columns = _packed(everyone, cache.starts, lengths)
    for layer in list(parts[0].layers):
        own = [part.layers.pop(layer) for part in parts]  # so that nothing lies in memory twice for long
        keys, values = (torch.cat(states, 1)[None] for states in zip(*own, strict=True))
        cache.write(layer, (keys, values), rows, columns)
    return cache


class JoinedDecoder(PackedDecoder):
    """A decoder-only model on what is left of several batches; `tokens`: each row's last one, which is not read yet."""

    def __init__(
        self, model: PreTrainedModel, parts: Sequence[Left], tokens: Sequence[int], weights: OrderedWeights
    ) -> None:
        super().__init__(model, Batch((), ()), None, weights)
        self.parts, self.tokens = parts, tokens

    def prefill(self, room: int) -> Tensor:
        """Join the rows and read their last tokens; return the next-token logits."""
        self.cache = joined_cache(self.parts, room + 1, self.steady)
        self.positions = torch.cat([part.positions for part in self.parts if part.positions is not None])
        self._graph = StepGraph(self.model, self.cache) if self.steady else None
        return self.step(torch.tensor(self.tokens, device=self.device))


class JoinedEncoderDecoder(EncoderDecoder):
    """The same of an encoder-decoder: sources stay as they were encoded, targets begin at different columns."""

    def __init__(
        self, model: Any, parts: Sequence[Left], tokens: Sequence[int], weights: OrderedWeights
    ) -> None:
        self.parts, self.tokens = parts, tokens
        super().__init__(model, Batch((), ()), 0, weights)
        # T5 asks for distances alone, which columns tell as well.
        self.uneven = model.config.model_type not in T5_LIKE

    def _read(self) -> tuple[list[Pair], Tensor]:
        """Fill the sources up to the longest one, layer by layer; it empties the parts."""
        lengths = torch.cat([part.sources for part in self.parts if part.sources is not None])
        longest = int(lengths.max())
        everyone = torch.arange(len(lengths), device=self.device)
        rows, columns = _packed(everyone, torch.zeros_like(lengths), lengths)
        cross: list[Pair] = []
        for _ in range(len(self.parts[0].cross or ())):
            # Taken out, so that no layer's sources lie in memory twice for long.
            own = [part.cross.pop(0) for part in self.parts if part.cross is not None]
            pair: list[Tensor] = []
            for states in zip(*own, strict=True):
                packed = torch.cat(states, 1).transpose(0, 1)
                filled = packed.new_zeros(len(lengths), packed.shape[1], longest, packed.shape[2])
                filled[rows, :, columns] = packed
                pair.append(filled)
            cross.append((pair[0], pair[1]))
        return cross, torch.arange(longest, device=self.device) < lengths[:, None]

    def prefill(self, room: int) -> Tensor:
        """Join the rows and read their last tokens; return the next-token logits."""
        self.cache = joined_cache(self.parts, room + 1, self.steady)
        self._graph = StepGraph(self.model, self.cache) if self.steady else None
        return self.step(torch.tensor(self.tokens, device=self.device))
