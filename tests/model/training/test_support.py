from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from instruct_ablate.errors import UserError
from instruct_ablate.model.training.support import (
    check_family,
    plain_logits,
    trial_batch,
    trial_sequences,
)
from tests.model.windows import make_model


def test_the_sequences_on_trial_are_the_same_in_groups_and_alone() -> None:
    model = make_model("mistral")
    sequences = trial_sequences(model)
    grouped, alone = (trial_batch(sequences, grouped) for grouped in (True, False))
    assert (grouped.decoder.grouped, alone.decoder.grouped) == (True, False)
    for batch in (grouped, alone):
        assert batch.decoder.offsets[-1] == batch.decoder.total == len(batch.decoder.ids)
    for field in ("ids", "positions"):
        one, other = (getattr(batch.decoder, field)[batch.rows] for batch in (grouped, alone))
        assert torch.equal(one, other)
    assert len(plain_logits(model, sequences)) == len(grouped.rows)


def test_families_with_an_encoder_are_known_by_name() -> None:
    for kind in ("t5", "mt5"):
        check_family(SimpleNamespace(config=SimpleNamespace(is_encoder_decoder=True, model_type=kind)), True)
    with pytest.raises(UserError, match="of type bart"):
        check_family(
            SimpleNamespace(config=SimpleNamespace(is_encoder_decoder=True, model_type="bart")), True
        )
