"""Greedy decoding of a batch: finished rows leave it, so that no step is spent on them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

EarlyStop = Callable[[int, list[int]], bool]  # row, tokens so far
# Of the lines that are still decoded, the lines themselves, their rows and tokens so far: whether somebody takes them.
Take = Callable[[Sequence[int], Sequence[int], Sequence[list[int]]], bool]
KEEP = 0.9  # rows are compacted once fewer than this share of them is still decoding
STEADY_KEEP = 0.5  # where steps are captured: a capture lasts until rows leave


def nobody(*_: object) -> bool:
    """Take no rows over."""
    return False


@dataclass(frozen=True, slots=True)
class Part:
    """Which part of its rows' answers a decoder writes: behind what they have written, until others take them over.

    `begun`: the tokens of each row so far, whose last one the decoder reads first; none where answers begin.
    """

    begun: Sequence[Sequence[int]] = ()
    take: Take = nobody


WHOLE = Part()


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
    part: Part = WHOLE,
) -> Iterator[tuple[int, list[int]]]:
    """Yield (row, generated tokens) as rows finish: at a stop token, which is left out, or after `limit` tokens.

    These are the tokens of transformers' `generate` with `do_sample=False` and no penalties; with `early_stop` a
    row also finishes where that says so of the row and its tokens so far. `once_read` is called when all rows are read
    and none has been answered. Rows that are taken over from a `part` are not yielded.
    """
    keep = STEADY_KEEP if decoder.steady else KEEP
    logits = decoder.prefill(limit - 1)
    once_read()
    live = list(range(len(logits)))  # the row of each line still in the batch
    written: list[list[int]] = [[*one] for one in part.begun] or [[] for _ in live]
    done = [False] * len(live)
    while True:
        tokens = logits.max(-1).indices  # as argmax, at a quarter of its time in bf16 on a CPU
        said = tokens.tolist()  # all that a step waits for
        for line in _of(done):
            if said[line] in stops:
                done[line] = True
                yield live[line], written[line]
        for line in _of(done):
            written[line].append(said[line])
        for line in _of(done):
            done[line] = len(written[line]) == limit or (
                early_stop is not None and early_stop(live[line], [*written[line]])
            )
            if done[line]:
                yield live[line], written[line]
        left = _of(done)
        if not left:
            return
        if part.take(left, [live[line] for line in left], [written[line] for line in left]):
            return
        if len(left) < keep * len(done):
            lines = torch.tensor(left, device=logits.device)
            decoder.keep(lines)
            live, written = [live[line] for line in left], [written[line] for line in left]
            done, tokens = [False] * len(left), tokens[lines]
        logits = decoder.step(tokens)


def _of(done: Sequence[bool]) -> list[int]:
    """Return the lines that are still decoded."""
    return [line for line, over in enumerate(done) if not over]
