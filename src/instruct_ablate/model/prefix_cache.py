"""Keys and values of a decoding batch: the prefixes that rows share, and each row's own tokens."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from instruct_ablate.model.decode_attention import Pair, Run, Share, run_attention, step_attention


class PrefixCache:
    """The keys and values of packed prefixes, filled by the forward pass that this is the layout of."""

    def __init__(self, lengths: Sequence[int]) -> None:
        ends = [sum(lengths[: index + 1]) for index in range(len(lengths))]
        self.runs = [Run(end - length, 1, length) for end, length in zip(ends, lengths, strict=True)]
        self.layers: dict[int, Pair] = {}

    def attend(self, layer: int, query: Tensor, own: Pair, scale: float) -> Tensor:
        """Keep a layer's keys and values; every prefix sees itself."""
        self.layers[layer] = (own[0][0].clone(), own[1][0].clone())
        return torch.cat([run_attention(run, query, own, None, scale) for run in self.runs], dim=1)[None]

    def read(self, layer: int, prefix: int | None) -> Pair | None:
        """Return keys and values (kv heads, length, dim) of one prefix."""
        if prefix is None:
            return None
        run = self.runs[prefix]
        keys, values = self.layers[layer]
        return keys[:, run.start : run.stop], values[:, run.start : run.stop]


class RowCache:
    """The rows' own keys and values in preallocated columns; all rows end at the same column.

    Rows begin at different columns (`starts`), so that a new token is one slice for the whole batch.
    """

    def __init__(
        self, prefixes: PrefixCache, owners: Sequence[int | None], lengths: Tensor, room: int
    ) -> None:
        self.prefixes = prefixes
        self.owners = list(owners)  # each row's prefix; rows of one prefix are neighbours
        self.end = int(lengths.max())
        self.starts = self.end - lengths
        self.columns = self.end + room
        self.layers: dict[int, Pair] = {}

    def write(self, layer: int, own: Pair, rows: Tensor, columns: Tensor) -> None:
        """Put packed keys and values (1, kv heads, tokens, dim) into their rows and columns."""
        kept = []
        for states in own:
            size = (len(self.owners), states.shape[1], self.columns, states.shape[3])
            buffer = states.new_zeros(
                size
            )  # columns before a row's start stay finite: weight 0 times them is 0
            buffer[rows, :, columns] = states[0].transpose(0, 1)
            kept.append(buffer)
        self.layers[layer] = (kept[0], kept[1])

    def append(self, layer: int, own: Pair) -> Pair:
        """Add one token per row, (1, kv heads, rows, dim), at the end; return what there is so far."""
        for buffer, states in zip(self.layers[layer], own, strict=True):
            buffer[:, :, self.end] = states[0].transpose(0, 1)
        keys, values = self.layers[layer]
        return keys[:, :, : self.end + 1], values[:, :, : self.end + 1]

    def keep(self, rows: Tensor) -> None:
        """Drop all rows but these, and the columns that none of them uses."""
        self.starts = self.starts[rows]
        self.owners = [self.owners[row] for row in rows.tolist()]
        first = int(self.starts.min())
        self.starts, self.end, self.columns = self.starts - first, self.end - first, self.columns - first
        self.layers = {
            layer: (keys[rows, :, first:], values[rows, :, first:])
            for layer, (keys, values) in self.layers.items()
        }

    def shares(self, layer: int) -> list[Share]:
        """Return the stretches of rows that stand behind one prefix."""
        stretches: list[Share] = []
        first = 0
        for row in range(1, len(self.owners) + 1):
            if row < len(self.owners) and self.owners[row] == self.owners[first]:
                continue
            pair = self.prefixes.read(layer, self.owners[first])
            stretches += [] if pair is None else [Share(first, row, *pair)]
            first = row
        return stretches


class Prefill:
    """Layout of the pass over the rows' own tokens, behind their prefixes."""

    def __init__(self, cache: RowCache, runs: Sequence[Run], rows: Tensor, columns: Tensor) -> None:
        self.cache, self.runs, self.rows, self.columns = cache, runs, rows, columns

    def attend(self, layer: int, query: Tensor, own: Pair, scale: float) -> Tensor:
        """Keep keys and values where decoding will go on, and attend run by run."""
        self.cache.write(layer, own, self.rows, self.columns)
        return Score(self.cache.prefixes, self.runs).attend(layer, query, own, scale)


class Score:
    """Layout of a pass over the rows' own tokens and label trees: nothing follows, so nothing is kept."""

    def __init__(self, prefixes: PrefixCache, runs: Sequence[Run]) -> None:
        self.prefixes, self.runs = prefixes, runs

    def attend(self, layer: int, query: Tensor, own: Pair, scale: float) -> Tensor:
        """Attend run by run."""
        read = self.prefixes.read
        return torch.cat(
            [run_attention(run, query, own, read(layer, run.prefix), scale) for run in self.runs], 1
        )[None]


class Step:
    """Layout of the pass over one new token per row."""

    def __init__(self, cache: RowCache) -> None:
        self.cache = cache
        columns = torch.arange(cache.end + 1, device=cache.starts.device)
        self.hidden = columns < cache.starts[:, None]

    def attend(self, layer: int, query: Tensor, own: Pair, scale: float) -> Tensor:
        """Add the token to the cache and attend to prefix and own tokens."""
        pair = self.cache.append(layer, own)
        _, _, rows, dim = query.shape
        states = query.view(pair[0].shape[1], -1, rows, dim).permute(2, 0, 1, 3)
        output = step_attention(states, pair, self.hidden, self.cache.shares(layer), scale)
        return output.permute(1, 2, 0, 3).flatten(0, 1)[None]
