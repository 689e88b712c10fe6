"""From a micro-batch to the hidden states that predict its target tokens, and from them to the loss."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from instruct_ablate.data.micro_batch import MicroBatch, pad
from instruct_ablate.errors import UserError
from instruct_ablate.model.adapters import bare
from instruct_ablate.model.families import MERGED, T5_LIKE
from instruct_ablate.model.last_layer import few, shortened
from instruct_ablate.model.modes import evaluating, shapes_of_any_kind
from instruct_ablate.model.training.layers import decoder_attention, merged_attention, t5_attention
from instruct_ablate.model.training.layers.dropout import Dropout, WeightsAt
from instruct_ablate.model.training.layers.fused_layers import compiled, fused
from instruct_ablate.model.training.layers.large_vocabulary import (
    MasterOf,
    direct_embeddings,
    losses_into,
    master_of_output,
    rows_at_once,
)
from instruct_ablate.model.training.layers.output_layer import OutputLayer
from instruct_ablate.model.training.support import (
    check_family,
    plain_logits,
    trial_batch,
    trial_sequences,
)
from instruct_ablate.model.transformers_internals import attending
from instruct_ablate.model.trial import agree, proven, short_windows

if TYPE_CHECKING:
    from instruct_ablate.model.training.layers.kept_states import KeptStates

ROWS = 256  # target positions whose logits exist at a time


class PackedAttention:
    """A model's attention within packed segments, and dropout, which can be left between steps and taken up again."""

    def __init__(self, model: PreTrainedModel, packing: bool, dropout: Dropout | None = None) -> None:
        self.model, self.packing, self.dropout = model, packing, dropout

    @contextmanager
    def used(self) -> Iterator[None]:
        """Let the model attend so; undone at the end."""
        self._changes = self._change()
        try:
            yield
        finally:
            self._changes.close()

    @contextmanager
    def left(self) -> Iterator[None]:
        """Within `used`: let the model attend as it was loaded, to be tested."""
        self._changes.close()
        try:
            yield
        finally:
            self._changes = self._change()

    def _change(self) -> ExitStack:
        with ExitStack() as changes:
            changes.enter_context(nullcontext() if self.dropout is None else self.dropout.within(self.model))
            if self.packing:
                t5 = self.model.config.model_type in T5_LIKE
                alone = not self.model.config.is_encoder_decoder
                changes.enter_context(attending(self.model, _attention_of(self.model)))
                # Of an encoder-decoder all last states are read: nothing can be left out.
                changes.enter_context(shortened(bare(self.model), "packed") if alone else nullcontext())
                changes.enter_context(t5_attention.corner_bias(self.model) if t5 else nullcontext())
            return changes.pop_all()


@contextmanager
def packed_attention_of(
    model: PreTrainedModel, packing: bool = True, compiling: bool = False, dropout: Dropout | None = None
) -> Iterator[PackedAttention]:
    """Let `model` attend within packed segments, its norms and gates fused (or compiled); undone at the end."""
    # Without cuDNN's attention, which is built anew for every number of tokens and adds up gradients in any order.
    with shapes_of_any_kind():
        check_model(model, packing)
        attention = PackedAttention(model, packing, dropout)
        # What is fused is decided once: a trial with other weights might decide otherwise.
        with compiled(model) if compiling else fused(model, dropout is not None), attention.used():
            yield attention


class TokenLosses(nn.Module):
    """A model with its loss: micro-batch in, cross-entropy of every target token out.

    With `packing` it must be called within `packed_attention_of` the model; without, sequences are padded.
    """

    kept: KeptStates | None = None  # what the frozen layers give, where it is known before the forward pass

    def __init__(self, model: PreTrainedModel, packing: bool = True, dropout: Dropout | None = None) -> None:
        super().__init__()
        self.model = model
        self.packing = packing
        self.dropout = dropout
        self.master_of: MasterOf = lambda weight: None

    def forward(self, batch: MicroBatch, step: int = 0) -> Tensor:
        """Return (targets,) in fp32; dropout draws by the step, up to the end of its backward pass.

        Gradients of large vocabularies are added to those of their masters, where `master_of` knows these.
        """
        if self.dropout is not None:
            self.dropout.begin(step, batch)
        with direct_embeddings(self.model, self.master_of):
            return token_losses(self.model, batch, self.packing, self.dropout, self.master_of, self.kept)


def target_states(
    model: PreTrainedModel,
    batch: MicroBatch,
    dropout: Dropout | None = None,
    kept: KeptStates | None = None,
) -> Tensor:
    """Return the hidden states (targets, width) before the output layer; call within `packed_attention_of`.

    With `kept` the frozen layers are not run: what they give is there.
    """
    # With dropout all tokens draw, as they did.
    wanted = wanted_tokens(batch) if dropout is None and batch.encoder is None else None
    with nullcontext() if kept is None else kept.used(batch.decoder):
        return states_for(model, batch, dropout, wanted)


def states_for(
    model: PreTrainedModel, batch: MicroBatch, dropout: Dropout | None, wanted: Tensor | None
) -> Tensor:
    """The same; of a decoder alone the last layer runs for the tokens `wanted`, None for all."""
    weights = dropout.at if dropout is not None else None
    if batch.encoder is None:
        return _decoder_only(model, batch, weights, wanted)[0, batch.rows]
    merged = model.config.model_type in MERGED
    run = merged_attention.merged_states if merged else t5_attention.t5_states
    return run(model, batch, weights)[0, batch.rows]


def wanted_tokens(batch: MicroBatch) -> Tensor | None:
    """Return the tokens that the last layer runs for where that leaves out enough, None for all."""
    # Rows may come several times: a shared prefix's last token predicts one token for each example.
    return few(torch.unique(batch.rows), batch.decoder.total)


def _attention_of(model: PreTrainedModel) -> str:
    """Name the packed attention of a family."""
    if not model.config.is_encoder_decoder:
        return decoder_attention.NAME
    return merged_attention.NAME if model.config.model_type in MERGED else t5_attention.NAME


def padded_states(model: Any, batch: MicroBatch) -> Tensor:
    """The same by transformers' own attention on sequences laid side by side, for comparison."""
    fill = int(model.config.pad_token_id or 0)
    ids, mask = pad(batch.decoder, fill)
    if batch.encoder is None:
        output = model.get_decoder()(input_ids=ids, attention_mask=mask, use_cache=False)
    else:
        sources, seen = pad(batch.encoder, fill)
        encoded = model.get_encoder()(input_ids=sources, attention_mask=seen).last_hidden_state
        output = model.get_decoder()(
            input_ids=ids, encoder_hidden_states=encoded, encoder_attention_mask=seen, use_cache=False
        )
    states: Tensor = output.last_hidden_state[mask][batch.rows]
    return t5_attention.scaled(model, states) if batch.encoder is not None else states


def _decoder_only(
    model: PreTrainedModel, batch: MicroBatch, dropout: WeightsAt | None, wanted: Tensor | None
) -> Tensor:
    packed = batch.decoder
    output = model.get_decoder()(
        input_ids=packed.ids[None],
        position_ids=packed.positions[None],
        use_cache=False,
        packed=decoder_attention.PackedLayout(packed, dropout, wanted),
    )
    states: Tensor = output.last_hidden_state
    return states


def check_model(model: PreTrainedModel, packing: bool = True) -> None:
    """Refuse models whose loss would silently be computed wrong here; what no configuration tells, a trial does."""
    check_family(model, packing)
    inner = bare(model)
    # Encoder-decoders are held to their own forward pass by `packable`.
    if model.config.is_encoder_decoder or proven(partial(_agrees, packing=packing), inner):
        return
    raise UserError(
        f"models of type {model.config.model_type} cannot be trained here with data.packing={str(packing).lower()}: "
        "their attention or output layer does something that this package does not know"
        + (". Try data.packing=false." if packing else ".")
    )


def _agrees(model: PreTrainedModel, packing: bool) -> bool:
    """Whether a model's logits are those of its own forward pass, on few tokens beyond its windows cut short."""
    sequences = trial_sequences(model)
    batch = trial_batch(sequences, grouped=packing)
    with evaluating(model, inference=False), short_windows(model):
        wanted = plain_logits(model, sequences)
        with _as_trained(model) if packing else nullcontext():
            states = target_states(model, batch) if packing else padded_states(model, batch)
        # Where there is nothing to compare with, the first step's loss says what is wrong.
        nothing = not bool(wanted.isfinite().all())
        return nothing or agree(OutputLayer.of(model).logits(states), wanted)


@contextmanager
def _as_trained(model: PreTrainedModel) -> Iterator[None]:
    with attending(model, decoder_attention.NAME), shortened(model, "packed"):
        yield


def token_losses(
    model: PreTrainedModel,
    batch: MicroBatch,
    packing: bool = True,
    dropout: Dropout | None = None,
    master_of: MasterOf = lambda weight: None,
    kept: KeptStates | None = None,
) -> Tensor:
    """Return the cross-entropy of every target token, (targets,) in fp32.

    Logits exist for some target positions (`ROWS`, fewer for large vocabularies) or for some of the vocabulary at a
    time, in the backward pass too (they are computed again there).
    """
    states = target_states(model, batch, dropout, kept) if packing else padded_states(model, batch)
    return losses_of(states, batch.labels, model, master_of)


def losses_of(
    states: Tensor, labels: Tensor, model: PreTrainedModel, master_of: MasterOf = lambda weight: None
) -> Tensor:
    """Return the cross-entropy (targets,) in fp32 of labels, from the hidden states before the output layer."""
    head = OutputLayer.of(model)
    master = master_of_output(head, master_of)
    if master is not None:
        return losses_into(states, labels, head, master)
    rows = rows_at_once(model.config.get_text_config().vocab_size, ROWS)
    # Few enough to be kept: the backward pass need not compute them again.
    if len(states) <= rows:
        return _losses(states, labels, head)
    pieces = zip(torch.split(states, rows), torch.split(labels, rows), strict=True)
    return torch.cat([_recomputed(piece, own, head) for piece, own in pieces])


def _recomputed(states: Tensor, labels: Tensor, head: OutputLayer) -> Tensor:
    result: Any = checkpoint(_losses, states, labels, head, use_reentrant=False)
    return torch.as_tensor(result)


def _losses(states: Tensor, labels: Tensor, head: OutputLayer) -> Tensor:
    return F.cross_entropy(head.logits(states).float(), labels, reduction="none")
