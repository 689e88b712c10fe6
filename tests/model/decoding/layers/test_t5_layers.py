import pytest
import torch

from instruct_ablate.model.decoding.layers import t5_layers as t5
from instruct_ablate.model.decoding.layers.batch import Batch, Row, runs
from instruct_ablate.model.decoding.layers.target import Target
from tests.model.decoding_cases import make_checkpoint

ROWS = tuple(Row(tuple(range(3, 3 + length))) for length in (2, 2, 5, 60))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return make_checkpoint("tiny_t5", tmp_path_factory.mktemp("cache")).model.eval()


def packed(rows):
    return torch.tensor([token for row in rows for token in row.tokens])


@torch.no_grad()
def test_packed_sources_are_encoded_as_each_alone(model):
    found = t5.encode(model, packed(ROWS), runs(Batch((), ROWS)))
    expected = [model.encoder(input_ids=torch.tensor([row.tokens])).last_hidden_state[0] for row in ROWS]
    torch.testing.assert_close(found, torch.cat(expected), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_the_bias_is_cut_as_the_kernel_takes_it_without_a_copy(model, monkeypatch):
    kernel, strides = torch.nn.functional.scaled_dot_product_attention, []

    def noting(*states, attn_mask, scale):
        strides.append(attn_mask.stride(-1))
        return kernel(*states, attn_mask=attn_mask, scale=scale)

    monkeypatch.setattr(t5.F, "scaled_dot_product_attention", noting)
    t5.encode(model, packed(ROWS), runs(Batch((), ROWS)))
    assert set(strides) == {1}
    assert len(strides) == 3 * len(model.encoder.block)  # lengths 2, 5 and 60


@torch.no_grad()
def test_cross_keys_are_filled_up_and_marked(model):
    spans = runs(Batch((), ROWS))
    encoded = t5.encode(model, packed(ROWS), spans)
    pairs, real = t5.cross_keys(model, encoded, spans)
    assert real.sum(1).tolist() == [2, 2, 5, 60]
    attention = model.decoder.block[1].layer[1].EncDecAttention
    keys = pairs[1][0]
    torch.testing.assert_close(keys[2, :, :5], t5.heads(attention, attention.k(encoded[4:9])))
    assert not keys[0, :, 2:].any()


@torch.no_grad()
def test_decode_several_tokens_at_once(model):
    spans = runs(Batch((), ROWS))
    cross, real = t5.cross_keys(model, t5.encode(model, packed(ROWS), spans), spans)
    ids = torch.tensor([[0, 9, 8], [0, 7, 6], [0, 5, 4], [0, 3, 2]])
    places = torch.arange(3)[None]
    target = Target(places, places, torch.ones(1, 3, 3, dtype=torch.bool).triu(1))
    found = t5.decode(model, ids, target, lambda layer, key, value: (key, value), cross, real)
    for row, target, one in zip(ROWS, ids, found, strict=True):
        expected = model(input_ids=torch.tensor([row.tokens]), decoder_input_ids=target[None]).logits[0]
        torch.testing.assert_close(one, expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_decode_one_token_of_each_row(model):
    spans = runs(Batch((), ROWS))
    cross, real = t5.cross_keys(model, t5.encode(model, packed(ROWS), spans), spans)
    first = torch.zeros(1, 1, dtype=torch.long)
    target = Target(first, first, torch.zeros(1, 1, 1, dtype=torch.bool))
    ids = torch.tensor([[9], [7], [5], [3]])
    found = t5.decode(model, ids, target, lambda layer, key, value: (key, value), cross, real)
    for row, target, one in zip(ROWS, ids, found, strict=True):
        expected = model(input_ids=torch.tensor([row.tokens]), decoder_input_ids=target[None]).logits[0]
        torch.testing.assert_close(one, expected, rtol=1e-4, atol=1e-4)
