"""Which models can be trained here: what their configuration says, and the sequences on which the rest is tried."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor

from instruct_ablate.data.micro_batch import NO_PARENT, MicroBatch, Packed
from instruct_ablate.errors import UserError
from instruct_ablate.model.families import PACKED_SEQ2SEQ
from instruct_ablate.model.layer_kinds import unknown_kind
from instruct_ablate.model.trial import trial_tokens

COMMON, OWN, ALONE = 9, (7, 6), 8  # tokens of two sequences that begin alike, and of a third one


def check_family(model: Any, packing: bool) -> None:
    """Refuse models whose configuration says that they would be computed wrong here."""
    kind = model.config.model_type
    if model.config.is_encoder_decoder:
        if packing and kind not in PACKED_SEQ2SEQ:
            families = ", ".join(PACKED_SEQ2SEQ)
            raise UserError(
                f"encoder-decoder models of type {kind} cannot be trained on packed sequences, only {families}; "
                "set data.packing=false."
            )
        return
    unknown = unknown_kind(model.config) if packing else None
    if unknown is not None:
        raise UserError(
            f"models with {unknown} ({kind}) cannot be trained on packed sequences; set data.packing=false."
        )


def trial_sequences(model: Any) -> list[Tensor]:
    """Return the sequences on which a model is tried."""
    common, one, other, alone = torch.split(
        torch.tensor(trial_tokens(model, COMMON + sum(OWN) + ALONE), device=model.device),
        [COMMON, *OWN, ALONE],
    )
    return [torch.cat([common, one]), torch.cat([common, other]), alone]


def trial_batch(sequences: list[Tensor], grouped: bool) -> MicroBatch:
    """Lay them end to end, what two have in common once where `grouped`; their last tokens are wanted."""
    one, other, alone = sequences
    segments = [one[:COMMON], one[COMMON:], other[COMMON:], alone] if grouped else sequences
    parents = (NO_PARENT, 0, 0, NO_PARENT) if grouped else (NO_PARENT,) * 3
    starts = [0 if parent == NO_PARENT else COMMON for parent in parents]
    lengths = tuple(map(len, segments))
    ends = list(itertools.accumulate(lengths))
    wanted = [torch.arange(end - own, end) for end, own in zip(ends[-3:], (*OWN, ALONE), strict=True)]
    packed = Packed(
        ids=torch.cat(segments),
        positions=torch.cat([torch.arange(at, at + n) for at, n in zip(starts, lengths, strict=True)]),
        offsets=torch.tensor([0, *ends], dtype=torch.int32),
        lengths=lengths,
        parents=parents,
    )
    nothing = torch.zeros(0, dtype=torch.int64)
    owners = (-1, 0, 1, 2) if grouped else (0, 1, 2)
    return MicroBatch(packed, nothing, torch.cat(wanted), nothing, nothing, owners).to(one.device)


def plain_logits(model: Any, sequences: list[Tensor]) -> Tensor:
    """Return the logits of the same tokens by a model's own forward pass, one sequence at a time."""
    wanted = zip(sequences, (*OWN, ALONE), strict=True)
    return torch.cat([model(input_ids=ids[None], use_cache=False).logits[0, -own:] for ids, own in wanted])
