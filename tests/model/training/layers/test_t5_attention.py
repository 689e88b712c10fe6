from __future__ import annotations

from typing import Any

import pytest
import torch

from instruct_ablate.data.micro_batch import MicroBatch
from instruct_ablate.model.training.layers import t5_attention
from instruct_ablate.model.training.layers.t5_attention import T5Layout, position_bias, scaled, t5_states
from instruct_ablate.model.training.loss import packed_attention_of
from tests.model.fits import first_batch, gradients, load, make_config


@pytest.fixture
def t5(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, MicroBatch]:
    config = make_config(tmp_path_factory.getbasetemp() / "cache", "tiny_t5", micro_batch_tokens=4000)
    checkpoint = load(config)
    return checkpoint.model, first_batch(checkpoint, config).micro_batches[0]


@pytest.mark.parametrize("stack", ["encoder", "decoder"])
def test_bias_is_that_of_the_library_for_every_length(stack: str, t5: tuple[Any, MicroBatch]) -> None:
    attention = getattr(t5[0], stack).block[0].layer[0].SelfAttention
    attention.longest = 150
    ours = position_bias(attention)
    for length in (1, 7, 150):
        torch.testing.assert_close(ours[None, :, :length, :length], attention.compute_bias(length, length))


def test_states_are_those_of_each_pair_alone(t5: tuple[Any, MicroBatch]) -> None:
    model, batch = t5
    assert batch.encoder is not None
    with torch.no_grad(), packed_attention_of(model):
        states = t5_states(model, batch)[0]
    for number in range(len(batch.examples)):
        source = batch.encoder.ids[slice(*batch.encoder.offsets[number : number + 2].tolist())]
        place = slice(*batch.decoder.offsets[number : number + 2].tolist())
        with torch.no_grad():
            encoded = model.encoder(input_ids=source[None])
            alone = model.decoder(input_ids=batch.decoder.ids[place][None], encoder_hidden_states=encoded[0])
        torch.testing.assert_close(states[place], alone[0][0], rtol=1e-4, atol=1e-5)


def test_other_devices_attend_alike(t5: tuple[Any, MicroBatch], monkeypatch: pytest.MonkeyPatch) -> None:
    model, batch = t5
    results = []
    for device in ("cpu", "elsewhere"):
        if device == "elsewhere":
            monkeypatch.setattr(T5Layout, "attend", lambda layout, *parts: layout.by_sequence(*parts[:4]))
        with packed_attention_of(model):
            states = t5_states(model, batch)
            states.sin().sum().backward()
        results.append((states.detach(), gradients(model)))
    torch.testing.assert_close(results[0], results[1], rtol=1e-3, atol=1e-4)
    assert any("relative_attention_bias" in name for name in results[0][1])


def test_the_bias_of_the_library_comes_back(t5: tuple[Any, MicroBatch]) -> None:
    model, _ = t5
    first = model.encoder.block[0].layer[0].SelfAttention
    with packed_attention_of(model):
        assert model.config._attn_implementation == t5_attention.NAME
        assert "compute_bias" in vars(first)
    assert model.config._attn_implementation != t5_attention.NAME
    assert "compute_bias" not in vars(first)


def test_tied_embeddings_scale_the_states(t5: tuple[Any, MicroBatch]) -> None:
    model, _ = t5
    states = torch.ones(1, 2, 64)
    assert torch.equal(
        scaled(model, states), states * (1 if not model.config.scale_decoder_outputs else 1 / 8)
    )
    model.config.scale_decoder_outputs = True
    assert torch.equal(scaled(model, states), states / 8)
