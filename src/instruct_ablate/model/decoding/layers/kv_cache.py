"""Keys and values of a decoding batch: the prefixes that rows share, and each row's own tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
import torch.nn.functional as F
from torch import Tensor

from instruct_ablate.model.attention_scores import Scores
from instruct_ablate.model.decoding.layers.all_runs import AllRuns
from instruct_ablate.model.decoding.layers.attention import Pair, Run, Share, run_attention, step_attention
from instruct_ablate.model.last_layer import spread

SPARE = 16  # columns added at a time
STEADY_SPARE = 64  # where steps are captured: a capture lasts until buffers grow


class PrefixCache:
    """The keys and values of packed prefixes, filled by the forward pass that this is the layout of."""

    def __init__(self, lengths: Sequence[int], wanted: Tensor | None = None) -> None:
        self.wanted = wanted
        ends = [sum(lengths[: index + 1]) for index in range(len(lengths))]
        self.runs = [Run(end - length, 1, length) for end, length in zip(ends, lengths, strict=True)]
        self.layers: dict[int, list[Pair]] = {}
        self._all = AllRuns((), self.runs)

    def attend(self, layer: int, query: Tensor, own: Pair, scores: Scores) -> Tensor:
        """Keep a layer's keys and values; every prefix sees itself."""
        self.put(layer, (own[0][0], own[1][0]))
        if query.shape[2] < own[0].shape[2]:  # of the last layer, whose output nobody reads
            return torch.zeros_like(query)
        at_once = self._all.attend(query, own, (), scores)
        if at_once is not None:
            return at_once
        return torch.cat([run_attention(run, query, own, None, scores) for run in self.runs], dim=1)[None]

    def put(self, layer: int, own: Pair) -> None:
        """Keep a layer's keys and values (kv heads, tokens, dim) of all prefixes."""
        cuts = [slice(run.start, run.stop) for run in self.runs]
        self.layers[layer] = [(own[0][:, cut].clone(), own[1][:, cut].clone()) for cut in cuts]

    def pair(self, layer: int) -> Pair:
        """Return a layer's keys and values (kv heads, tokens, dim) of all prefixes."""
        keys, values = (torch.cat(parts, 1) for parts in zip(*self.layers[layer], strict=True))
        return keys, values

    def read(self, layer: int, prefix: int | None) -> Pair | None:
        """Return keys and values (kv heads, length, dim) of one prefix."""
        return None if prefix is None else self.layers[layer][prefix]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Rows `first` to `last` stand behind one prefix and see it from the place `seen` on, short of what is hidden."""

    first: int
    last: int
    owner: int
    seen: int = 0
    hidden: Tensor | None = None


class RowCache:
    """The rows' own keys and values; all rows end at the same column, so that a new token is one slice.

    Rows begin at different columns (`starts`). Buffers have some columns to spare and are read whole, what is
    not there being hidden: products of whole buffers are several times as fast as products of slices.

    `steady`: the next token's column stands in a tensor, and steps between two changes of `shapes` differ in what
    tensors hold alone, so that one of them can be captured and replayed.
    """

    def __init__(
        self,
        prefixes: PrefixCache,
        owners: Sequence[int | None],
        lengths: Tensor,
        room: int,
        steady: bool = False,
    ) -> None:
        self.prefixes = prefixes
        self.owners = list(owners)  # each row's prefix; rows of one prefix are neighbours
        self.end = int(lengths.max())
        self.starts = self.end - lengths
        self.spare = STEADY_SPARE if steady else SPARE
        self.columns = self.end + min(room, self.spare)
        self.layers: dict[int, Pair] = {}
        self.shapes = 0  # how often tensors have given way to others
        self._column = self.starts.new_full((1,), self.end) if steady else None

    @property
    def here(self) -> int | Tensor:
        """The next token's column; of a steady cache a tensor (1,), which `grow` brings up to date."""
        return self.end if self._column is None else self._column

    def write(self, layer: int, own: Pair, rows: Tensor, columns: Tensor) -> None:
        """Put packed keys and values (1, kv heads, tokens, dim) into their rows and columns."""
        buffers = []
        for states in own:
            buffer = self._buffer(states)
            buffer[rows, :, columns] = states[0].transpose(0, 1)
            buffers.append(buffer)
        self._put(layer, buffers[0], buffers[1])

    def _put(self, layer: int, keys: Tensor, values: Tensor) -> None:
        """Let a layer's buffers be these from now on."""
        self.layers[layer] = (keys, values)
        self.shapes += 1

    def _buffer(self, states: Tensor) -> Tensor:
        """Return an empty buffer; zeros, because hidden columns have weight 0, and 0 times NaN would be NaN."""
        return states.new_zeros(len(self.owners), states.shape[1], self.columns, states.shape[3])

    def grow(self) -> None:
        """Make room for the next token."""
        if self._column is not None:
            self._column.fill_(self.end)
        if self.end < self.columns:
            return
        self.columns = self.end + self.spare
        for layer, (keys, values) in self.layers.items():
            more = (0, 0, 0, self.spare)
            self._put(layer, F.pad(keys, more), F.pad(values, more))

    def append(self, layer: int, own: Pair) -> Pair:
        """Add one token per row, (1, kv heads, rows, dim), at the end; return the buffers."""
        if layer not in self.layers:
            self._put(layer, self._buffer(own[0]), self._buffer(own[1]))
        for buffer, states in zip(self.layers[layer], own, strict=True):
            new = states[0].transpose(0, 1)
            if self._column is None:  # on a CPU a slice takes less time
                buffer[:, :, self.end] = new
            else:
                buffer.index_copy_(2, self._column, new[:, :, None].to(buffer.dtype))  # as a slice takes it
        return self.layers[layer]

    def hidden(self, window: int | None = None) -> Tensor:
        """Return which columns hold nothing that a row sees, once it has its next token."""
        columns = torch.arange(self.columns, device=self.starts.device)
        hidden = (columns < self.starts[:, None]) | (columns > self.here)
        return hidden if window is None else hidden | (columns <= self.here - window)

    def keep(self, rows: Tensor) -> None:
        """Drop all rows but these, and the columns that none of them uses."""
        self.starts = self.starts[rows]
        self.owners = [self.owners[row] for row in rows.tolist()]
        first = int(self.starts.min())
        self.starts, self.end, self.columns = self.starts - first, self.end - first, self.columns - first
        for layer, (keys, values) in self.layers.items():
            # Whole buffers again: products of slices take several times as long.
            self._put(layer, keys[rows, :, first:].contiguous(), values[rows, :, first:].contiguous())

    def stretches(self, window: int | None = None) -> list[Stretch]:
        """Return the stretches of rows that stand behind one prefix and see of it, once they have their next token."""
        found: list[Stretch] = []
        first = 0
        for owner, same in groupby(self.owners):
            last = first + len(list(same))
            if owner is not None and window is None:
                found.append(Stretch(first, last, owner))
            elif owner is not None and window is not None:
                found += self._narrow(first, last, owner, window)
            first = last
        return found

    def _narrow(self, first: int, last: int, owner: int, window: int) -> Iterator[Stretch]:
        """Yield what rows of one prefix see of it, if any does."""
        length = self.prefixes.runs[owner].length
        # Each row's first place.
        reach = (length + self.here + 1 - window - self.starts[first:last]).clamp_(min=0)
        if self._column is not None:  # reads all of it: what is seen may not change shapes from step to step
            yield Stretch(first, last, owner, 0, torch.arange(length, device=reach.device) < reach[:, None])
            return
        seen, differ = int(reach.min()), bool((reach != reach[0]).any())
        if seen < length:
            places = torch.arange(seen, length, device=reach.device)
            yield Stretch(first, last, owner, seen, places < reach[:, None] if differ else None)

    def shares(self, layer: int, stretches: Sequence[Stretch]) -> list[Share]:
        """Return a layer's keys and values of stretches."""
        pairs = [(one, *self.prefixes.layers[layer][one.owner]) for one in stretches]
        return [
            Share(one.first, one.last, keys[:, one.seen :], values[:, one.seen :], one.hidden)
            for one, keys, values in pairs
        ]


class Prefill:
    """Layout of the pass over the rows' own tokens, behind their prefixes."""

    def __init__(
        self,
        cache: RowCache,
        runs: Sequence[Run],
        rows: Tensor,
        columns: Tensor,
        wanted: Tensor | None = None,
    ) -> None:
        self.cache, self.rows, self.columns, self.wanted = cache, rows, columns, wanted
        self.score = Score(cache.prefixes, runs, wanted)

    def attend(self, layer: int, query: Tensor, own: Pair, scores: Scores) -> Tensor:
        """Keep keys and values where decoding will go on, and attend run by run."""
        self.put(layer, (own[0][0], own[1][0]))
        return self.score.attend(layer, query, own, scores)

    def put(self, layer: int, own: Pair) -> None:
        """Keep a layer's keys and values (kv heads, tokens, dim) of all rows."""
        self.cache.write(layer, (own[0][None], own[1][None]), self.rows, self.columns)

    def pair(self, layer: int) -> Pair:
        """Return a layer's keys and values (kv heads, tokens, dim) of all rows, before any token has followed."""
        keys, values = (
            buffer[self.rows, :, self.columns].transpose(0, 1) for buffer in self.cache.layers[layer]
        )
        return keys, values


class Score:
    """Layout of a pass over the rows' own tokens and label trees: nothing follows, so nothing is kept."""

    def __init__(self, prefixes: PrefixCache, runs: Sequence[Run], wanted: Tensor | None = None) -> None:
        self.prefixes, self.runs, self.wanted = prefixes, runs, wanted
        self._all = AllRuns([run.length for run in prefixes.runs], runs)

    def attend(self, layer: int, query: Tensor, own: Pair, scores: Scores) -> Tensor:
        """Attend in one call where a GPU has kernels for it, else run by run."""
        tokens = own[0].shape[2]
        if self.wanted is not None and query.shape[2] < tokens:
            return self.attend(layer, spread(query, self.wanted, tokens), own, scores)[:, :, self.wanted]
        at_once = self._all.attend(query, own, self.prefixes.layers.get(layer, ()), scores)
        if at_once is not None:
            return at_once
        read = self.prefixes.read
        return torch.cat(
            [run_attention(run, query, own, read(layer, run.prefix), scores) for run in self.runs], 1
        )[None]


class Behind:
    """Layout of a pass over trees behind rows of the cache, whose last tokens are read again: nothing is kept of it.

    Each run is of one row.
    """

    wanted = None

    def __init__(self, cache: RowCache, runs: Sequence[tuple[int, Run]]) -> None:
        self.cache, self.runs = cache, runs
        self.starts: list[int] = cache.starts.tolist()

    def attend(self, layer: int, query: Tensor, own: Pair, scores: Scores) -> Tensor:
        """Attend row by row to prefix, own tokens but the last, and the tree."""
        outputs = [run_attention(run, query, own, self._before(layer, row), scores) for row, run in self.runs]
        return torch.cat(outputs, dim=1)[None]

    def _before(self, layer: int, row: int) -> Pair:
        keys, values = (
            states[row, :, self.starts[row] : self.cache.end - 1] for states in self.cache.layers[layer]
        )
        prefix = self.cache.prefixes.read(layer, self.cache.owners[row])
        if prefix is None:
            return keys, values
        return torch.cat([prefix[0], keys], dim=1), torch.cat([prefix[1], values], dim=1)


class Step:
    """Layout of the pass over one new token per row, which the cache has room for."""

    wanted = None

    def __init__(self, cache: RowCache) -> None:
        self.cache = cache
        self._seen: dict[int | None, tuple[Tensor, list[Stretch]]] = {}

    def attend(self, layer: int, query: Tensor, own: Pair, scores: Scores) -> Tensor:
        """Add the token to the cache and attend to prefix and own tokens."""
        pair = self.cache.append(layer, own)
        _, _, rows, dim = query.shape
        states = query.view(pair[0].shape[1], -1, rows, dim).permute(2, 0, 1, 3)
        hidden, stretches = self._within(scores.window)
        output = step_attention(states, pair, hidden, self.cache.shares(layer, stretches), scores)
        return output.permute(1, 2, 0, 3).flatten(0, 1)[None]

    def _within(self, window: int | None) -> tuple[Tensor, list[Stretch]]:
        """Return what the rows see of their own columns and their prefixes; made once for all layers of a window."""
        if window not in self._seen:
            self._seen[window] = self.cache.hidden(window), self.cache.stretches(window)
        return self._seen[window]
