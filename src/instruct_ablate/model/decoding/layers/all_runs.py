"""The runs of a decoding batch on a GPU: all rows in one kernel call, each behind its prefix, and their label trees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from instruct_ablate.model.attention_scores import Scores
from instruct_ablate.model.cuda_attention import Sequences, gathered, takes_whole_batches
from instruct_ablate.model.decoding.layers.attention import Pair, Run


class AllRuns:
    """Which keys the tokens of all runs see, of those of the prefixes and their own, laid end to end."""

    def __init__(self, prefixes: Sequence[int], runs: Sequence[Run]) -> None:
        self.prefixes, self.runs = list(prefixes), runs
        self._sequences: Sequences | None = None

    def attend(self, query: Tensor, own: Pair, prefixes: Sequence[Pair], scores: Scores) -> Tensor | None:
        """Return (1, heads, tokens, dim), None where such kernels are not to be had."""
        if scores.cap is not None or not takes_whole_batches(query, own[0]):
            return None
        if self._sequences is None:
            self._sequences = self._gather(query.device)
        keys, values = (torch.cat([*(pair[of] for pair in prefixes), own[of][0]], 1)[None] for of in (0, 1))
        output = self._sequences.attend(query, keys, values, scores.scale, True, scores.window)
        return output.transpose(1, 2)

    def _gather(self, device: torch.device) -> Sequences:
        spans = [range(first, last) for first, last in pairwise(accumulate(self.prefixes, initial=0))]
        base = sum(self.prefixes)
        queries: list[int] = []
        seen: list[list[int]] = []
        for run in self.runs:
            before = [] if run.prefix is None else [*spans[run.prefix]]
            pieces = list(_pieces(run, len(before)))
            for start in range(base + run.start, base + run.stop, run.length):
                for count, places in pieces:
                    queries.append(count)
                    seen.append([*before, *(start + place for place in places)])
        return gathered(queries, seen, device)


def _pieces(run: Run, before: int) -> Iterator[tuple[int, list[int]]]:
    """Cut a row's tokens into neighbours that see each other causally: how many, and whom of the row the last one sees.

    Of a label tree each token that is not simply the next one stands alone, with its ancestors.
    """
    if run.places is None or run.mask is None:
        yield run.length, [*range(run.length)]
        return
    own = run.mask[:, before:].cpu()
    plain = (own == torch.ones_like(own).tril()).all(1).tolist()
    first = plain.index(False) if False in plain else run.length
    yield first, [*range(first)]
    for token in range(first, run.length):
        yield 1, own[token].nonzero()[:, 0].tolist()
