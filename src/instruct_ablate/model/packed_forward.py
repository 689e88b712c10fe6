"""From a micro-batch to the hidden states that predict its target tokens, and from them to the loss."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from instruct_ablate.data.micro_batch import MicroBatch
from instruct_ablate.errors import UserError
from instruct_ablate.model import packed_attention, t5_attention

ROWS = 256  # target positions whose logits exist at a time


@contextmanager
def packed_attention_of(model: PreTrainedModel) -> Iterator[None]:
    """Let `model` attend within packed segments; put back what it had."""
    before = model.config._attn_implementation
    encoder_decoder = bool(model.config.is_encoder_decoder)
    check_head(model)
    model.set_attn_implementation(t5_attention.NAME if encoder_decoder else packed_attention.NAME)
    try:
        yield
    finally:
        model.set_attn_implementation(before)


def target_states(model: PreTrainedModel, batch: MicroBatch) -> Tensor:
    """Return the hidden states (targets, width) before the output layer; call within `packed_attention_of`."""
    states = _decoder_only(model, batch) if batch.encoder is None else t5_attention.t5_states(model, batch)
    return states[0, batch.rows]


def _decoder_only(model: PreTrainedModel, batch: MicroBatch) -> Tensor:
    packed = batch.decoder
    output = model.get_decoder()(
        input_ids=packed.ids[None],
        position_ids=packed.positions[None],
        use_cache=False,
        packed=packed_attention.PackedLayout(packed),
    )
    states: Tensor = output.last_hidden_state
    return states


def check_head(model: PreTrainedModel) -> None:
    """Refuse models whose output layer is more than a linear layer: their logits would be wrong here."""
    for name in ("final_logit_softcapping", "logit_scale", "logits_scaling"):
        if name in model.config.to_dict() and model.config.to_dict()[name] not in (None, 1.0):
            raise UserError(
                f"models with {name} ({model.config.model_type}) cannot be trained here yet; "
                "use one whose output layer is linear (LLaMA, Qwen, Mistral, T5, ...)."
            )


def token_losses(model: PreTrainedModel, batch: MicroBatch) -> Tensor:
    """Return the cross-entropy of every target token, (targets,) in fp32.

    Logits exist for `ROWS` target positions at a time, in the backward pass too (they are computed again there).
    """
    states = target_states(model, batch)
    head = model.get_output_embeddings()
    if len(states) <= ROWS:
        return _losses(states, batch.labels, head)
    pieces = zip(states.split(ROWS), batch.labels.split(ROWS), strict=True)
    return torch.cat([_recomputed(piece, labels, head) for piece, labels in pieces])


def _recomputed(states: Tensor, labels: Tensor, head: nn.Module) -> Tensor:
    result: Any = checkpoint(_losses, states, labels, head, use_reentrant=False)
    return torch.as_tensor(result)


def _losses(states: Tensor, labels: Tensor, head: nn.Module) -> Tensor:
    return F.cross_entropy(head(states).float(), labels, reduction="none")
