"""Decoding steps captured as CUDA graphs against steps run as they are: what they give, and how long one takes.

Without a GPU a recording stands in the graphs' place, which is slower than no recording.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import torch
from benchmarks.recorded_steps import steps_captured
from torch import Tensor

from benchmarks import machine
from instruct_ablate.model.decoding.layers.batch import Batch, Row
from instruct_ablate.model.decoding.layers.decoder_only import PackedDecoder
from instruct_ablate.model.decoding.layers.encoder_decoder import EncoderDecoder
from instruct_ablate.model.decoding.layers.step_graph import AHEAD, EAGER, refusal
from instruct_ablate.model.loading.checkpoint import Checkpoint
from instruct_ablate.model.modes import evaluating

APART = 0.5  # standard deviations of the logits that bf16 may lie apart where buffers have other sizes


def steps(given: argparse.Namespace, checkpoint: Checkpoint) -> dict[str, Any]:
    """Decode the same tokens with and without captures; return milliseconds, counts, and how far logits lie apart."""
    count = EAGER + AHEAD + 3 if given.small else 60
    batch = _batch(checkpoint, *((6, 8, 4) if given.small else (200, 150, 60)))
    found: dict[str, Any] = {}
    logits: list[Tensor] = []
    with evaluating(checkpoint.model):
        for captured in (False, True):
            with steps_captured(given.device, captured) as counts:
                seconds, here = _decoded(given, checkpoint, batch, count)
            way = "captured" if captured else "as they are"
            found[f"ms a step {way}"] = round(1e3 * statistics.median(seconds), 3)
            found[f"ms a step {way}, all of {count}"] = round(1e3 * statistics.mean(seconds), 3)
            logits.append(here)
    found |= {"captured": counts.captured, "replayed": counts.replayed, "eager": counts.eager}
    apart = float((logits[0] - logits[1]).abs().max() / logits[0].std())
    best = [one.argmax(-1) for one in logits]
    found |= {"apart": apart, "same best tokens": round(float((best[0] == best[1]).float().mean()), 4)}
    if reason := refusal(checkpoint.model):
        found["refused"] = reason
    # A step that could not be captured has run as it is, and right: that is a failure here alone.
    return found | {"equal": apart < APART and counts.captured > 0 and counts.replayed >= AHEAD}


def _batch(checkpoint: Checkpoint, rows: int, shared: int, own: int) -> Batch:
    """Return rows behind two prefixes, or for a T5 sources of that length together."""
    draw = torch.Generator().manual_seed(0)

    def tokens(length: int) -> tuple[int, ...]:
        return tuple(torch.randint(3, 1000, (length,), generator=draw).tolist())

    if checkpoint.encoder_decoder:
        return Batch((), tuple(Row(tokens(shared + own + place % 5)) for place in range(rows)))
    owned = [Row(tokens(own + place % 5), 2 * place // rows) for place in range(rows)]
    return Batch((tokens(shared), tokens(shared - 1)), tuple(owned))


def _decoded(
    given: argparse.Namespace, checkpoint: Checkpoint, batch: Batch, count: int
) -> tuple[list[float], Tensor]:
    """Return the seconds of each step, and the logits (steps, rows, 1000) of the last ones."""
    model: Any = checkpoint.model
    start = checkpoint.start_token
    decoder = PackedDecoder(model, batch) if start is None else EncoderDecoder(model, batch, start)
    decoder.prefill(count)
    seconds, logits = [], []
    draw = torch.Generator().manual_seed(1)
    for _ in range(count):
        tokens = torch.randint(3, 1000, (len(batch.rows),), generator=draw).to(given.device)
        machine.synchronize(given.device)
        started = time.perf_counter()
        given_logits = decoder.step(tokens)
        machine.synchronize(given.device)
        seconds.append(time.perf_counter() - started)
        logits = [*logits, given_logits[:, :1000].float()][-AHEAD:]
    return seconds, torch.stack(logits)
