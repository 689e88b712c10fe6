"""Which models the packed decoders know: decided by their configuration, and by trying."""

from __future__ import annotations

from typing import Any

import torch

from instruct_ablate.model.decoding.answers.label_tree import label_tree
from instruct_ablate.model.decoding.layers.batch import Batch, Row
from instruct_ablate.model.decoding.layers.decoder_only import PackedDecoder
from instruct_ablate.model.decoding.layers.encoder_decoder import EncoderDecoder
from instruct_ablate.model.families import MERGED, T5_LIKE
from instruct_ablate.model.layer_kinds import unknown_kind
from instruct_ablate.model.modes import evaluating
from instruct_ablate.model.transformers_internals import takes_registered_attention
from instruct_ablate.model.trial import agree, proven, short_windows, trial_tokens

PREFIX, OWN = 9, 7  # tokens of the trial


def is_packable(model: Any, encoder_decoder: bool) -> bool:
    """Whether packed decoding gives what `model` itself would.

    A decoder-only model must take its attention from transformers' interface and see all earlier tokens or those of a
    sliding window; what its configuration does not tell, a trial does. Encoder-decoders: T5's, and T5Gemma 2 by trial.
    """
    if encoder_decoder:
        kind = model.config.model_type
        return kind in T5_LIKE or (kind in MERGED and proven(_agrees_on_targets, model))
    return takes_registered_attention(model) and unknown_kind(model.config) is None and proven(_agrees, model)


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


def _agrees_on_targets(model: Any) -> bool:
    """Compare the logits of two rows' targets, read at once and token by token, with those of a plain pass."""
    ids = trial_tokens(model, 2 * PREFIX + 3 * OWN)
    sources = [ids[:PREFIX], ids[PREFIX : 2 * PREFIX + OWN]]
    targets = [ids[-2 * OWN : -OWN], ids[-OWN:]]
    start = ids[0]
    trees = [label_tree(("trial",), (tuple(target),)) for target in targets]
    rows = tuple(Row(tuple(source), None, tree) for source, tree in zip(sources, trees, strict=True))
    with evaluating(model), short_windows(model):
        decoder = EncoderDecoder(model, Batch((), rows), start)
        at_once = torch.stack(decoder.score())
        steps = [decoder.prefill(OWN)]
        steps += [decoder.step(column) for column in torch.tensor(targets, device=model.device).T]
        plain = [
            model(
                input_ids=torch.tensor([source], device=model.device),
                decoder_input_ids=torch.tensor([[start, *target]], device=model.device),
                use_cache=False,
            ).logits[0]
            for source, target in zip(sources, targets, strict=True)
        ]
    wanted = torch.stack(plain)
    # A tree has no node for a target's last token: nothing is predicted behind it.
    return agree(at_once, wanted[:, :-1]) and agree(torch.stack(steps, 1), wanted)
