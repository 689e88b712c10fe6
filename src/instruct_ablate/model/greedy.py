"""Greedy decoding of a batch: finished rows leave it, so that no step is spent on them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Protocol

import torch
from torch import Tensor

KEEP = 0.9  # rows are compacted once fewer than this share of them is still decoding


class Decoder(Protocol):
    """A model reading a batch of rows."""

    def prefill(self, room: int) -> Tensor:
        """Read all rows and keep space for `room` further tokens; return the next-token logits."""

    def step(self, tokens: Tensor) -> Tensor:
        """Read one token per row; return the next-token logits."""

    def keep(self, rows: Tensor) -> None:
        """Drop all rows but these."""


def decode_greedily(decoder: Decoder, stops: Collection[int], limit: int) -> Iterator[tuple[int, list[int]]]:
    """Yield (row, generated tokens) as rows finish: at a stop token, which is left out, or after `limit` tokens.

    The same tokens as transformers' `generate` with `do_sample=False` and no penalties.
    """
    logits = decoder.prefill(limit - 1)
    ends = torch.tensor(sorted(stops), device=logits.device)
    live = torch.arange(len(logits), device=logits.device)  # the row of each line still in the batch
    written = live.new_zeros(len(live), 0)
    done = torch.zeros_like(live, dtype=torch.bool)
    while True:
        tokens = logits.argmax(-1)
        written = torch.cat([written, tokens[:, None]], dim=1)
        fresh = torch.isin(tokens, ends) & ~done
        for line in fresh.nonzero()[:, 0].tolist():
            yield int(live[line]), written[line, :-1].tolist()
        done |= fresh
        if bool(done.all()) or written.shape[1] == limit:
            break
        if int((~done).sum()) < KEEP * len(done):
            lines = (~done).nonzero()[:, 0]
            decoder.keep(lines)
            live, written, done, tokens = live[lines], written[lines], done[lines], tokens[lines]
        logits = decoder.step(tokens)
    for line in (~done).nonzero()[:, 0].tolist():
        yield int(live[line]), written[line].tolist()
