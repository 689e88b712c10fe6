"""How a model can be trained: on packed sequences, padded, or not at all; decided by trying, and noted."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from instruct_ablate.data.collate import collate
from instruct_ablate.data.store import Ragged, TokenStore
from instruct_ablate.errors import UserError, in_a_line
from instruct_ablate.model.modes import evaluating
from instruct_ablate.model.training.loss import check_model, packed_attention_of, token_losses
from instruct_ablate.model.trial import agree, proven, short_windows, trial_tokens
from instruct_ablate.schema import Config

log = logging.getLogger(__name__)
# What a model raises that hands nothing of ours down, or takes no part of a packed pass.
REFUSALS = (KeyError, TypeError, ValueError, AttributeError, NotImplementedError)
SOURCES, TARGET = (13, 9, 11), 7  # tokens of the trial's sequences
PADDED = "trained on padded sequences by transformers' own attention: {kind} cannot be trained packed here"


def as_trained(config: Config, model: Any) -> tuple[Config, tuple[str, ...]]:
    """Return the configuration that `model` can be trained by, and a note where it is not packed as asked for.

    Raises `UserError` for a model whose loss would be computed wrong either way.
    """
    if config.data.packing and trains(model, packing=True):
        return config, ()
    kind = f"a model of type {model.config.model_type}"
    if not trains(model, packing=False):
        raise UserError(
            f"model={config.model.name}: {kind} cannot be trained here: the loss computed from its last states is not "
            "the one that it computes itself."
        )
    if not config.data.packing:
        return config, ()
    if config.trainer.dropout:
        raise UserError(
            f"trainer.dropout={config.trainer.dropout} draws by example and place in packed sequences, which {kind} "
            "cannot be trained on here. Give trainer.dropout=0."
        )
    note = PADDED.format(kind=kind)
    log.warning("%s: %s", config.model.name, note)
    return replace(config, data=replace(config.data, packing=False)), (note,)


def trains(model: Any, packing: bool) -> bool:
    """Whether the losses of a few tokens are those that follow from the model's own logits."""
    try:
        check_model(model, packing)
        return not model.config.is_encoder_decoder or proven(partial(_agrees, packing=packing), model)
    except (*REFUSALS, UserError) as reason:
        log.debug("%s cannot be trained so: %s", type(model).__name__, in_a_line(reason))
        return False


def _agrees(model: Any, packing: bool) -> bool:
    """Compare the losses of an encoder-decoder's trial with those by its own forward pass."""
    store, start = _trial(model), trial_tokens(model, 1)[0]
    batch = collate(store, [[0], [1], [2]], start).to(model.device)
    with evaluating(model), short_windows(model):
        logits = torch.cat([_logits(model, store, example, start) for example in range(len(store))])
        with packed_attention_of(model, packing):
            ours = token_losses(model, batch, packing)
        theirs = F.cross_entropy(logits.float(), batch.labels, reduction="none")
        # Where there is nothing to compare with, the first step's loss says what is wrong.
        return not bool(theirs.isfinite().all()) or agree(ours, theirs.to(logits.dtype))


def _trial(model: Any) -> TokenStore:
    """Return three examples of unequal lengths, their sources beyond a trial's windows."""
    ids = np.array(trial_tokens(model, sum(SOURCES) + 3 * TARGET), dtype=np.int32)
    sources, targets = np.split(ids, [sum(SOURCES)])
    places = np.cumsum([0, *SOURCES])
    ends = np.arange(4) * TARGET
    return TokenStore(Ragged(sources, places), Ragged(targets, ends), np.zeros(3, dtype=np.int64), 0, True)


def _logits(model: Any, store: TokenStore, example: int, start: int) -> Tensor:
    """Return the logits of an example's target tokens, by the model's own forward pass."""
    source, target = (
        torch.from_numpy(part[example].astype(np.int64)).to(model.device)
        for part in (store.sources, store.targets)
    )
    before = torch.cat([target.new_tensor([start]), target[:-1]])
    output = model(input_ids=source[None], decoder_input_ids=before[None], use_cache=False)
    return torch.as_tensor(output.logits[0])
