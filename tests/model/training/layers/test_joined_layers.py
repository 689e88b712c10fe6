"""Parts laid end to end, and layers that know whose tokens they are given."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from instruct_ablate.data.micro_batch import NO_PARENT
from instruct_ablate.model.training.layers.joined_layers import (
    DECODER,
    ENCODER,
    Passing,
    as_joined,
    joined_batch,
    side_of,
)
from instruct_ablate.model.training.support import trial_batch
from instruct_ablate.process.turns import Turn
from tests.model.fits import load, make_config


def parts() -> list[torch.Tensor]:
    return list(torch.split(torch.arange(40), [16, 16, 8]))


def test_parts_stand_end_to_end() -> None:
    one, other = trial_batch(parts(), grouped=True), trial_batch(parts(), grouped=False)
    whole = joined_batch([one, other, one])
    first, second = one.decoder.total, other.decoder.total
    assert whole.decoder.total == 2 * first + second
    assert whole.decoder.parents[-4:] == (NO_PARENT, 7, 7, NO_PARENT)
    assert whole.decoder.spans[4][0] == first
    rows = whole.rows[len(one.rows) : len(one.rows) + len(other.rows)]
    assert torch.equal(rows, other.rows + first)
    assert torch.equal(whole.decoder.ids[rows], other.decoder.ids[other.rows])
    assert torch.equal(whole.decoder.positions[-first:], one.decoder.positions)


def test_a_layer_refuses_tokens_that_it_cannot_tell_apart() -> None:
    passing, cells = Passing(), [Turn("a", print), Turn("b", print)]
    layer = as_joined(nn.Linear(4, 3), passing, DECODER)
    layer.adapters[cells[0]] = object()
    plain = layer(torch.ones(1, 7, 4))
    assert plain.shape == (1, 7, 3)
    batch = trial_batch(parts(), grouped=False)
    with passing.of(cells, [batch, batch], [2, 3]):
        assert passing.lengths(DECODER, 80) == [40, 40]
        assert passing.lengths(DECODER, 5) == [2, 3]
        with pytest.raises(ValueError, match="a layer was given 7 tokens of 80, 5"):
            layer(torch.ones(1, 7, 4))
    assert passing.cells == []


def test_keys_and_values_of_cross_attention_are_the_encoders(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    cache: Path = tmp_path_factory.getbasetemp() / "cache"
    model = load(make_config(cache, "tiny_t5")).model
    sides = {
        name: side_of(model, name) for name, part in model.named_modules() if isinstance(part, nn.Linear)
    }
    crossing = {name for name, side in sides.items() if side == ENCODER and name.startswith("decoder")}
    assert {name.rpartition(".")[2] for name in crossing} == {"k", "v"}
    assert all("EncDecAttention" in name for name in crossing)
    assert all(side == ENCODER for name, side in sides.items() if name.startswith("encoder"))
    assert sides["decoder.block.0.layer.1.EncDecAttention.q"] == DECODER
