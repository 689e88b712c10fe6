"""Which models the packed decoders know: decided by their configuration, and by trying."""

from __future__ import annotations

from typing import Any

import torch

from instruct_ablate.model.decoding.batch import Batch, Row
from instruct_ablate.model.decoding.decoder_only import PackedDecoder
from instruct_ablate.model.families import T5_LIKE
from instruct_ablate.model.layer_kinds import unknown_kind
from instruct_ablate.model.modes import evaluating
from instruct_ablate.model.transformers_internals import takes_registered_attention
from instruct_ablate.model.trial import agree, short_windows, trial_tokens

PREFIX, OWN = 9, 7  # tokens of the trial


def is_packable(model: Any, encoder_decoder: bool) -> bool:
    """Whether packed decoding gives what `model` itself would.

    A decoder-only model must take its attention from transformers' interface and see all earlier tokens or those of a
    sliding window; what its configuration does not tell, a trial does.
    """
    if encoder_decoder:
        return model.config.model_type in T5_LIKE
    return takes_registered_attention(model) and unknown_kind(model.config) is None and _agrees(model)


def _agrees(model: Any) -> bool:
    """Compare the logits of two packed rows behind a prefix, and of a further token, with those of a plain pass."""
    ids = trial_tokens(model, PREFIX + 2 * OWN)
    prefix, rows = ids[:PREFIX], [ids[PREFIX : PREFIX + OWN], ids[PREFIX + OWN :]]
    batch = Batch((tuple(prefix),), tuple(Row(tuple(row), 0) for row in rows))
    with evaluating(model), short_windows(model):
        further = torch.tensor(prefix[:2], device=model.device)
        try:
            decoder = PackedDecoder(model, batch)
            packed = torch.stack([decoder.prefill(1), decoder.step(further)], dim=1)
        except KeyError:  # the layers do not hand the layout down to the attention
            return False
        read = torch.tensor([prefix + row for row in rows], device=model.device)
        plain = model(input_ids=torch.cat([read, further[:, None]], dim=1), use_cache=False).logits[:, -2:]
    return agree(packed, plain)
