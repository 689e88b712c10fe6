import pytest
import torch
import torch.nn.functional as F

from instruct_ablate.model.attention_scores import Scores
from instruct_ablate.model.decoding.layers.attention import Run
from instruct_ablate.model.decoding.layers.kv_cache import (
    SPARE,
    Behind,
    Prefill,
    PrefixCache,
    RowCache,
    Score,
    Step,
)

KV, DIM = 2, 4
SCORES = Scores(1.0)


def filled():
    """Two prefixes of 3 and 2 tokens in one layer; rows of 1, 3 and 2 tokens."""
    torch.manual_seed(0)
    prefixes = PrefixCache([3, 2])
    states = torch.randn(1, KV, 5, DIM)
    prefixes.attend(0, states, (states, states + 1), SCORES)
    cache = RowCache(prefixes, [0, 0, 1], torch.tensor([1, 3, 2]), room=2)
    rows, columns = torch.tensor([0, 1, 1, 1, 2, 2]), torch.tensor([2, 0, 1, 2, 1, 2])
    own = torch.randn(1, KV, 6, DIM)
    cache.write(0, (own, own + 1), rows, columns)
    return states, cache, own


def test_prefixes_are_read_back_one_by_one():
    states, cache, _ = filled()
    keys, values = cache.prefixes.read(0, 1)
    assert torch.equal(keys, states[0, :, 3:])
    assert torch.equal(values, states[0, :, 3:] + 1)
    assert cache.prefixes.read(0, None) is None


def test_packed_prefixes_do_not_see_each_other():
    states = torch.randn(1, KV, 5, DIM)
    changed = states.clone()
    changed[:, :, :3] += 1
    one, two = (PrefixCache([3, 2]).attend(0, s, (s, s), SCORES) for s in (states, changed))
    assert torch.equal(one[:, :, 3:], two[:, :, 3:])
    assert not torch.equal(one[:, :, :3], two[:, :, :3])


def test_rows_end_at_the_same_column():
    _, cache, own = filled()
    assert cache.starts.tolist() == [2, 0, 1]
    keys = cache.layers[0][0]
    assert torch.equal(keys[1, :, :3], own[0, :, 1:4])
    assert torch.equal(keys[0, :, 2], own[0, :, 0])
    assert not keys[0, :, :2].any()


def test_append_fills_the_next_column():
    _, cache, _ = filled()
    new = torch.randn(1, KV, 3, DIM)
    keys, values = cache.append(0, (new, new + 1))
    assert keys.shape == (3, KV, 5, DIM)
    assert torch.equal(keys[:, :, 3], new[0].transpose(0, 1))
    assert torch.equal(values[:, :, 3], new[0].transpose(0, 1) + 1)
    assert cache.hidden().tolist() == [
        [True, True, False, False, True],
        [False, False, False, False, True],
        [True, False, False, False, True],
    ]


def test_buffers_grow_when_they_are_full():
    _, cache, own = filled()
    cache.end = 5
    cache.grow()
    assert cache.columns == cache.layers[0][0].shape[2] == 5 + SPARE
    assert torch.equal(cache.layers[0][0][1, :, :3], own[0, :, 1:4])
    before = cache.layers[0][0]
    cache.grow()
    assert cache.layers[0][0] is before


def test_keep_drops_rows_and_unused_columns():
    _, cache, own = filled()
    cache.keep(torch.tensor([0, 2]))
    assert (cache.starts.tolist(), cache.end, cache.owners) == ([1, 0], 2, [0, 1])
    keys = cache.layers[0][0]
    assert keys.shape[2] == cache.columns == 4
    assert keys.is_contiguous()
    assert torch.equal(keys[1, :, :2], own[0, :, 4:6])


def test_shares_are_stretches_of_one_prefix():
    _, cache, _ = filled()
    assert [(s.first, s.last, s.keys.shape[1]) for s in cache.shares(0, cache.stretches())] == [
        (0, 2, 3),
        (2, 3, 2),
    ]
    cache.owners = [None, 0, None]
    assert [(s.first, s.last) for s in cache.shares(0, cache.stretches())] == [(1, 2)]


def attention(query, keys, values, causal=False):
    """Plain attention of (heads, tokens, dim) each."""
    return F.scaled_dot_product_attention(query, keys, values, is_causal=causal, scale=1.0)


def prefix_of(cache, owner):
    keys, values = cache.prefixes.read(0, owner)
    return keys, values


def test_a_step_sees_prefix_and_own_tokens_and_itself():
    _, cache, _ = filled()
    starts, end = cache.starts.tolist(), cache.end
    earlier = [states.clone() for states in cache.layers[0]]
    query, new = torch.randn(1, KV, 3, DIM), torch.randn(1, KV, 3, DIM)
    found = Step(cache).attend(0, query, (new, new + 1), SCORES)
    assert found.shape == (1, KV, 3, DIM)
    for row, owner in enumerate((0, 0, 1)):
        parts = [
            (before, states[row, :, starts[row] : end], own[0, :, row : row + 1])
            for before, states, own in zip(prefix_of(cache, owner), earlier, (new, new + 1), strict=True)
        ]
        keys, values = (torch.cat(part, 1) for part in parts)
        torch.testing.assert_close(
            found[0, :, row : row + 1], attention(query[0, :, row : row + 1], keys, values)
        )


def test_a_tree_behind_a_row_reads_its_last_token_again():
    _, cache, _ = filled()
    query, own = torch.randn(1, KV, 4, DIM), torch.randn(1, KV, 4, DIM)
    mask = torch.ones(2, 7, dtype=torch.bool)
    mask[0, 6] = False
    runs = [(1, Run(0, 1, 2, 0, mask)), (0, Run(2, 1, 2, 0, torch.ones(2, 5, dtype=torch.bool)))]
    found = Behind(cache, runs).attend(0, query, (own, own + 1), SCORES)
    earlier = cache.layers[0]
    for (row, run), cut in zip(runs, (slice(0, 2), slice(2, 4)), strict=True):
        start = cache.starts.tolist()[row]
        keys, values = (
            torch.cat([before, states[row, :, start : cache.end - 1], new[0, :, cut]], 1)
            for before, states, new in zip(prefix_of(cache, 0), earlier, (own, own + 1), strict=True)
        )
        expected = F.scaled_dot_product_attention(
            query[0, :, cut], keys, values, attn_mask=run.mask, scale=1.0
        )
        torch.testing.assert_close(found[0, :, cut], expected)


def test_a_tree_behind_a_row_without_a_prefix():
    _, cache, _ = filled()
    cache.owners[1] = None
    query, own = torch.randn(1, KV, 1, DIM), torch.randn(1, KV, 1, DIM)
    run = Run(0, 1, 1, None, torch.ones(1, 3, dtype=torch.bool))
    found = Behind(cache, [(1, run)]).attend(0, query, (own, own), SCORES)
    keys, values = (torch.cat([states[1, :, :2], own[0]], 1) for states in cache.layers[0])
    torch.testing.assert_close(found[0], attention(query[0], keys, values))


def test_prefill_keeps_what_it_reads_and_scoring_keeps_nothing():
    _, cache, _ = filled()
    query, own = torch.randn(1, KV, 2, DIM), torch.randn(1, KV, 2, DIM)
    runs = [Run(0, 1, 2, 1, torch.ones(2, 4, dtype=torch.bool))]
    before = cache.layers[0][0].clone()
    scored = Score(cache.prefixes, runs).attend(0, query, (own, own), SCORES)
    assert torch.equal(cache.layers[0][0], before)
    read = Prefill(cache, runs, torch.tensor([2, 2]), torch.tensor([1, 2])).attend(
        0, query, (own, own), SCORES
    )
    assert torch.equal(read, scored)
    assert torch.equal(cache.layers[0][0][2, :, 1:3], own[0])
    keys, values = (torch.cat([states, own[0]], 1) for states in prefix_of(cache, 1))
    torch.testing.assert_close(read[0], attention(query[0], keys, values))


def test_dropped_columns_are_those_that_no_row_uses():
    _, cache, own = filled()
    cache.keep(torch.tensor([0]))
    assert (cache.starts.tolist(), cache.end, cache.columns) == ([0], 1, 3)
    assert torch.equal(cache.layers[0][1][0, :, 0], own[0, :, 0] + 1)


def test_rows_of_one_prefix_see_as_much_of_it_as_their_windows_reach():
    _, cache, _ = filled()  # their next tokens stand at the places 4 and 6, and 4
    one, other = cache.stretches(window=4)
    assert (one.first, one.last, one.owner, one.seen) == (0, 2, 0, 1)
    assert one.hidden.tolist() == [[False, False], [True, True]]
    assert (other.first, other.last, other.owner, other.seen, other.hidden) == (2, 3, 1, 1, None)
    assert cache.stretches(window=2) == []
    assert [one.hidden for one in cache.stretches(window=8)] == [None, None]
    assert cache.hidden(2).tolist() == [
        [True, True, False, False, True],
        [True, True, False, False, True],
        [True, True, False, False, True],
    ]


@pytest.mark.parametrize("window", [1, 2, 3, 4, 5, 6, 7])
@pytest.mark.parametrize("cap", [None, 0.5])
def test_a_step_sees_what_its_window_reaches(window, cap):
    _, cache, _ = filled()
    starts, end = cache.starts.tolist(), cache.end
    earlier = [states.clone() for states in cache.layers[0]]
    query, new = torch.randn(1, KV, 3, DIM), torch.randn(1, KV, 3, DIM)
    scores = Scores(0.7, window, cap)
    found = Step(cache).attend(0, query, (new, new + 1), scores)
    for row, owner in enumerate((0, 0, 1)):
        keys, values = (
            torch.cat([before, states[row, :, starts[row] : end], own[0, :, row : row + 1]], 1)[:, -window:]
            for before, states, own in zip(prefix_of(cache, owner), earlier, (new, new + 1), strict=True)
        )
        products = query[0, :, row : row + 1] @ keys.mT * 0.7
        products = products if cap is None else cap * torch.tanh(products / cap)
        torch.testing.assert_close(found[0, :, row : row + 1], products.softmax(-1) @ values)
