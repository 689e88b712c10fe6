"""Greedy decoding of a batch: finished rows leave it, so that no step is spent on them."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import torch
from torch import Tensor
from transformers import PreTrainedModel

from instruct_ablate.model.packed_decoder import Batch, PackedDecoder

KEEP = 0.9  # rows are compacted once fewer than this share of them is still decoding


def decode_greedily(
    model: PreTrainedModel, batch: Batch, stops: Collection[int], limit: int
) -> Iterator[tuple[int, list[int]]]:
    """Yield (row, generated tokens) as rows finish: at a stop token, which is left out, or after `limit` tokens.

    The same tokens as transformers' `generate` with `do_sample=False` and no penalties.
    """
    decoder = PackedDecoder(model, batch)
    cache, logits = decoder.prefill(limit - 1)
    ends = torch.tensor(sorted(stops), device=decoder.device)
    live = torch.arange(len(batch.rows), device=decoder.device)  # row of each line of the cache
    positions = decoder.tensor([decoder.prefix_length(row) + len(row.tokens) for row in batch.rows])
    written: Tensor = live.new_zeros(len(live), 0)
    done = torch.zeros_like(live, dtype=torch.bool)
    for _ in range(limit):
        tokens = logits.argmax(-1)
        written = torch.cat([written, tokens[:, None]], dim=1)
        fresh = torch.isin(tokens, ends) & ~done
        for line in fresh.nonzero()[:, 0].tolist():
            yield int(live[line]), written[line, :-1].tolist()
        done |= fresh
        if bool(done.all()) or written.shape[1] == limit:
            break
        if int((~done).sum()) < KEEP * len(done):
            rows = (~done).nonzero()[:, 0]
            cache.keep(rows)
            live, positions, written, done, tokens = (
                x[rows] for x in (live, positions, written, done, tokens)
            )
        logits = decoder.step(tokens, positions, cache)
        positions = positions + 1
    for line in (~done).nonzero()[:, 0].tolist():
        yield int(live[line]), written[line].tolist()
