"""A decoder-only model on packed rows: encode shared prefixes, read the rows, decode token by token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor
from transformers import PreTrainedModel

from instruct_ablate.model.decode_attention import Layout, Run
from instruct_ablate.model.prefix_cache import Prefill, PrefixCache, RowCache, Step


@dataclass(frozen=True, slots=True)
class Row:
    """One prompt of a batch: its prefix (an index into the batch's) and its tokens behind it."""

    tokens: tuple[int, ...]
    prefix: int | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows decoded side by side; rows of one prefix are neighbours, shorter ones first."""

    prefixes: tuple[tuple[int, ...], ...]
    rows: tuple[Row, ...]


class PackedDecoder:
    """Forward passes of one batch; call within `decoding(model)`."""

    def __init__(self, model: PreTrainedModel, batch: Batch) -> None:
        self.model, self.batch = model, batch
        self.device = model.device
        self.prefixes = PrefixCache([len(prefix) for prefix in batch.prefixes])
        if batch.prefixes:
            tokens = [token for prefix in batch.prefixes for token in prefix]
            positions = [place for prefix in batch.prefixes for place in range(len(prefix))]
            self._forward(tokens, self.tensor(positions), self.prefixes, self.tensor([0]))

    def prefill(self, room: int) -> tuple[RowCache, Tensor]:
        """Read all rows; return the cache, with space for `room` further tokens, and the next-token logits."""
        rows = self.batch.rows
        lengths = self.tensor([len(row.tokens) for row in rows])
        cache = RowCache(self.prefixes, [row.prefix for row in rows], lengths, room)
        index = torch.arange(len(rows), device=self.device).repeat_interleave(lengths)
        ends = lengths.cumsum(0)
        within = torch.arange(len(index), device=self.device) - (ends - lengths)[index]
        offsets = self.tensor([self.prefix_length(row) for row in rows])
        layout = Prefill(cache, runs(rows), index, within + cache.starts[index])
        tokens = [token for row in rows for token in row.tokens]
        return cache, self._forward(tokens, within + offsets[index], layout, ends - 1)

    def step(self, tokens: Tensor, positions: Tensor, cache: RowCache) -> Tensor:
        """Read one token per row (position: its place in the whole sequence); return the next-token logits."""
        logits = self._forward(tokens, positions, Step(cache), torch.arange(len(tokens), device=self.device))
        cache.end += 1
        return logits

    def prefix_length(self, row: Row) -> int:
        """Return how many tokens stand before a row's own."""
        return 0 if row.prefix is None else len(self.batch.prefixes[row.prefix])

    def tensor(self, numbers: Sequence[int]) -> Tensor:
        """Return integers on the model's device."""
        return torch.tensor(numbers, dtype=torch.long, device=self.device)

    def _forward(
        self, tokens: Sequence[int] | Tensor, positions: Tensor, layout: Layout, wanted: Tensor
    ) -> Tensor:
        """Return the logits (wanted, vocabulary) of one packed pass."""
        ids = tokens if isinstance(tokens, Tensor) else self.tensor(tokens)
        output = self.model(
            input_ids=ids[None],
            position_ids=positions[None],
            use_cache=False,
            logits_to_keep=wanted,
            layout=layout,
        )
        logits: Tensor = output.logits[0]
        return logits


def runs(rows: Sequence[Row]) -> list[Run]:
    """Join neighbouring rows of equal prefix and length."""
    found: list[Run] = []
    start = 0
    for (prefix, length), same in groupby(rows, key=lambda row: (row.prefix, len(row.tokens))):
        found.append(Run(start, len(list(same)), length, prefix))
        start = found[-1].stop
    return found
