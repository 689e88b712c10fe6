"""Greedy decoding of a batch: finished rows leave it, so that no step is spent on them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Protocol

import torch
from torch import Tensor

EarlyStop = Callable[[int, list[int]], bool]  # row, tokens so far
KEEP = 0.9  # rows are compacted once fewer than this share of them is still decoding
STEADY_KEEP = 0.5  # where steps are captured: a capture lasts until rows leave


class Decoder(Protocol):
    """A model reading a batch of rows; `steady`: its steps gain by finding the shapes of the last one."""

    steady: bool

    def prefill(self, room: int) -> Tensor:
        """Read all rows and keep space for `room` further tokens; return the next-token logits."""

    def step(self, tokens: Tensor) -> Tensor:
        """Read one token per row; return the next-token logits."""

    def keep(self, rows: Tensor) -> None:
        """Drop all rows but these."""


def decode_greedily(
    decoder: Decoder,
    stops: Collection[int],
    limit: int,
    early_stop: EarlyStop | None = None,
    once_read: Callable[[], None] = lambda: None,
) -> Iterator[tuple[int, list[int]]]:
    """Yield (row, generated tokens) as rows finish: at a stop token, which is left out, or after `limit` tokens.

    These are the tokens of transformers' `generate` with `do_sample=False` and no penalties; with `early_stop` a
    row also finishes where that says so of the row and its tokens so far. `once_read` is called when all rows are read
    and none has been answered.
    """
    keep = STEADY_KEEP if decoder.steady else KEEP
    logits = decoder.prefill(limit - 1)
    once_read()
    ends = torch.tensor(sorted(stops), device=logits.device)
    live = torch.arange(len(logits), device=logits.device)  # the row of each line still in the batch
    written = live.new_zeros(len(live), 0)
    done = torch.zeros_like(live, dtype=torch.bool)
    while True:
        tokens = logits.max(-1).indices  # as argmax, at a quarter of its time in bf16 on a CPU
        ended = torch.isin(tokens, ends) & ~done
        yield from _lines(live, written, ended)
        done |= ended
        written = torch.cat([written, tokens[:, None]], dim=1)
        over = ~done if written.shape[1] == limit else _stopped_early(live, written, ~done, early_stop)
        yield from _lines(live, written, over)
        done |= over
        if bool(done.all()):
            return
        if int((~done).sum()) < keep * len(done):
            lines = (~done).nonzero()[:, 0]
            decoder.keep(lines)
            live, written, done, tokens = live[lines], written[lines], done[lines], tokens[lines]
        logits = decoder.step(tokens)


def _lines(live: Tensor, written: Tensor, which: Tensor) -> Iterator[tuple[int, list[int]]]:
    """Yield row and tokens of some lines."""
    for line in which.nonzero()[:, 0].tolist():
        yield int(live[line]), written[line].tolist()


def _stopped_early(live: Tensor, written: Tensor, unfinished: Tensor, early_stop: EarlyStop | None) -> Tensor:
    """Return which unfinished lines `early_stop` ends."""
    over = torch.zeros_like(unfinished)
    if early_stop is not None:
        for line in unfinished.nonzero()[:, 0].tolist():
            over[line] = early_stop(int(live[line]), written[line].tolist())
    return over
