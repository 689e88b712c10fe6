"""Which models the packed decoders know: decided by their configuration, and by trying."""

from __future__ import annotations

from typing import Any

import torch

from instruct_ablate.model.decoding.batch import Batch, Row
from instruct_ablate.model.decoding.decoder_only import PackedDecoder
from instruct_ablate.model.families import T5_LIKE
from instruct_ablate.model.modes import evaluating
from instruct_ablate.model.transformers_internals import takes_registered_attention

PREFIX, OWN = 9, 7  # tokens of the trial
TOLERANCE = 0.5  # in standard deviations of the logits: rounding stays far below, another attention far above


def is_packable(model: Any, encoder_decoder: bool, room: int) -> bool:
    """Whether packed decoding gives what `model` itself would, for sequences of up to `room` tokens.

    A decoder-only model must take its attention from transformers' interface and see all earlier tokens (a
    sliding window is fine while nothing is longer); what its configuration does not tell, a trial does.
    """
    if encoder_decoder:
        return model.config.model_type in T5_LIKE
    settings = model.config.to_dict()
    window = settings.get("sliding_window")
    if window is not None and window < room and settings.get("use_sliding_window", True):
        return False
    kinds = {"full_attention", "sliding_attention"}
    if not set(settings.get("layer_types") or kinds) <= kinds:
        return False
    return takes_registered_attention(model) and _agrees(model)


def _agrees(model: Any) -> bool:
    """Compare the next-token logits of two packed rows behind a prefix with those of a plain pass."""
    ids = [3 + (7 * place * place) % (model.config.vocab_size - 3) for place in range(PREFIX + 2 * OWN)]
    prefix, rows = ids[:PREFIX], [ids[PREFIX : PREFIX + OWN], ids[PREFIX + OWN :]]
    batch = Batch((tuple(prefix),), tuple(Row(tuple(row), 0) for row in rows))
    with evaluating(model):
        try:
            packed = PackedDecoder(model, batch).prefill(0)
        except KeyError:  # the layers do not hand the layout down to the attention
            return False
        plain = model(input_ids=torch.tensor([prefix + row for row in rows], device=model.device)).logits[
            :, -1
        ]
    return bool((packed - plain).abs().max() <= TOLERANCE * plain.float().std())
