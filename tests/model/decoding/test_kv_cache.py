import torch

from instruct_ablate.model.decoding.kv_cache import SPARE, PrefixCache, RowCache

KV, DIM = 2, 4


def filled():
    """Two prefixes of 3 and 2 tokens in one layer; rows of 1, 3 and 2 tokens."""
    torch.manual_seed(0)
    prefixes = PrefixCache([3, 2])
    states = torch.randn(1, KV, 5, DIM)
    prefixes.attend(0, states, (states, states + 1), 1.0)
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
    one, two = (PrefixCache([3, 2]).attend(0, s, (s, s), 1.0) for s in (states, changed))
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
    assert [(s.first, s.last, s.keys.shape[1]) for s in cache.shares(0)] == [(0, 2, 3), (2, 3, 2)]
    cache.owners = [None, 0, None]
    assert [(s.first, s.last) for s in cache.shares(0)] == [(1, 2)]
