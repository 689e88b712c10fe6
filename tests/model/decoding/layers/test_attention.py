import pytest
import torch
import torch.nn.functional as F
from transformers import AttentionInterface

from instruct_ablate.model.attention_scores import Scores
from instruct_ablate.model.decoding.layers.attention import (
    NAME,
    Run,
    Share,
    _attention,
    filled_up,
    run_attention,
    step_attention,
)

HEADS, KV, DIM, SCALE = 4, 2, 8, 0.3


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def plain(query, key, value, mask):
    repeats = query.shape[0] // key.shape[0]
    key, value = key.repeat_interleave(repeats, 0), value.repeat_interleave(repeats, 0)
    scores = (query @ key.transpose(1, 2) * SCALE).masked_fill(~mask, float("-inf"))
    return scores.softmax(-1) @ value


def test_a_run_attends_causally_within_each_row():
    query, key, value = (torch.randn(1, h, 9, DIM) for h in (HEADS, KV, KV))
    found = run_attention(Run(1, 2, 4), query, (key, value), None, Scores(SCALE))
    causal = torch.ones(4, 4, dtype=torch.bool).tril()
    for row, start in enumerate((1, 5)):
        cut = [states[0, :, start : start + 4] for states in (query, key, value)]
        torch.testing.assert_close(found[:, 4 * row : 4 * row + 4], plain(*cut, causal))


def test_a_run_sees_its_prefix():
    query, key, value = (torch.randn(1, h, 3, DIM) for h in (HEADS, KV, KV))
    prefix = (torch.randn(KV, 5, DIM), torch.randn(KV, 5, DIM))
    mask = torch.ones(3, 8, dtype=torch.bool).tril(5)
    found = run_attention(Run(0, 1, 3, 0, mask), query, (key, value), prefix, Scores(SCALE))
    whole = [torch.cat([before, own[0]], 1) for before, own in zip(prefix, (key, value), strict=True)]
    torch.testing.assert_close(found, plain(query[0], *whole, mask))


@pytest.mark.parametrize("shared", [(), ((0, 2, 5), (3, 5, 2)), ((0, 5, 4),)])
def test_a_step_equals_plain_attention_per_row(shared):
    rows, columns, group = 5, 6, HEADS // KV
    query = torch.randn(rows, KV, group, DIM)
    keys, values = torch.randn(rows, KV, columns, DIM), torch.randn(rows, KV, columns, DIM)
    hidden = torch.arange(columns) < torch.tensor([0, 3, 5, 1, 2])[:, None]
    shares = [Share(a, b, torch.randn(KV, n, DIM), torch.randn(KV, n, DIM)) for a, b, n in shared]
    found = step_attention(query, (keys, values), hidden, shares, Scores(SCALE))
    for row in range(rows):
        own = ~hidden[row]
        pair = [keys[row][:, own], values[row][:, own]]
        for share in shares:
            if share.first <= row < share.last:
                pair = [torch.cat(both, 1) for both in zip((share.keys, share.values), pair, strict=True)]
        expected = F.scaled_dot_product_attention(query[row], *pair, scale=SCALE)
        torch.testing.assert_close(found[row], expected)


@pytest.mark.parametrize(("scaling", "scale"), [(0.5, 0.5), (None, DIM**-0.5)])
def test_a_layer_hands_its_attention_to_the_layout_of_the_pass(scaling, scale):
    class Layout:
        def attend(self, *given):
            self.given = given
            return given[1]

    class Layer:
        layer_idx = 3

    layout, states = Layout(), [torch.randn(1, h, 5, DIM) for h in (HEADS, KV, KV)]
    output, weights = _attention(Layer(), *states, None, scaling=scaling, layout=layout)
    assert weights is None
    assert torch.equal(output, states[0].transpose(1, 2))
    layer, query, own, found = layout.given
    assert (layer, found) == (3, Scores(scale))
    assert query is states[0]
    assert own[0] is states[1]
    assert own[1] is states[2]
    assert torch.equal(
        AttentionInterface()[NAME](Layer(), *states, None, scaling=scaling, layout=layout)[0], output
    )


def test_a_run_ends_behind_its_last_row():
    assert Run(3, 2, 4).stop == 11


def test_rows_of_several_runs_are_filled_up_with_zeros_whatever_lay_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    empty = torch.Tensor.new_empty
    monkeypatch.setattr(torch.Tensor, "new_empty", lambda one, *size: empty(one, *size).fill_(float("nan")))
    packed = torch.randn(9, 2, 3).transpose(0, 1)  # as heads are cut: not in order
    found = filled_up(packed, [Run(0, 2, 2), Run(4, 1, 5)], 6)
    wanted = torch.zeros(3, 2, 6, 3)
    wanted[0, :, :2], wanted[1, :, :2], wanted[2, :, :5] = packed[:, :2], packed[:, 2:4], packed[:, 4:]
    assert torch.equal(found, wanted)
    assert found.is_contiguous()
