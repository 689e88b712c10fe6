"""Rows taken out of caches and joined in another one: each with its own tokens, behind its own prefix."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from instruct_ablate.model.decoding.layers.attention import Pair
from instruct_ablate.model.decoding.layers.kv_cache import PrefixCache, RowCache
from instruct_ablate.model.decoding.layers.left_rows import Left, _of_cache, joined_cache

LAYERS, HEADS, DIM = 2, 2, 3


def token(row: int, place: int, layer: int) -> float:
    """What the cache holds of a row's token, each another number."""
    return 1 + 10_000 * layer + 100 * row + place


def pair_of(numbers: list[float]) -> Pair:
    """Keys (heads, tokens, dim) and values that are other ones."""
    keys = torch.tensor(numbers)[None, :, None].repeat(HEADS, 1, DIM)
    return keys, -keys


def filled(first: int, owners: list[int | None], lengths: list[int], prefixes: list[int]) -> RowCache:
    """A cache whose rows are called `first` and on; its prefixes are `first` + 50 and on."""
    held = PrefixCache(prefixes)
    cache = RowCache(held, owners, torch.tensor(lengths), room=2)
    starts, rows = cache.starts.tolist(), range(len(lengths))
    places = [(row, at) for row in rows for at in range(lengths[row])]
    for layer in range(LAYERS):
        numbers = [
            token(first + 50 + one, at, layer) for one, size in enumerate(prefixes) for at in range(size)
        ]
        held.put(layer, pair_of(numbers))
        keys, values = pair_of([token(first + row, at, layer) for row, at in places])
        at_rows = torch.tensor([row for row, _ in places])
        columns = torch.tensor([starts[row] + at for row, at in places])
        cache.write(layer, (keys[None], values[None]), at_rows, columns)
    return cache


def taken(cache: RowCache, *rows: int) -> Left:
    return Left(*_of_cache(cache, torch.tensor(rows)))


def numbers_of(keys: Tensor) -> list[float]:
    assert bool((keys == keys[:1, :, :1]).all())
    return keys[0, :, 0].tolist()


def held_by(cache: RowCache, layer: int) -> list[tuple[list[float], list[float]]]:
    """Of each row what stands before it and its own tokens."""
    found = []
    for row, owner in enumerate(cache.owners):
        before = cache.prefixes.read(layer, owner)
        keys, values = (one[row, :, int(cache.starts[row]) : cache.end] for one in cache.layers[layer])
        assert torch.equal(keys, -values)
        found.append(([] if before is None else numbers_of(before[0]), numbers_of(keys)))
    return found


def rows_of(layer: int, *wanted: tuple[int, int, int | None, int]) -> list[tuple[list[float], list[float]]]:
    """Rows by name and length, and prefixes by name and length."""
    return [
        (
            [] if prefix is None else [token(prefix, at, layer) for at in range(long)],
            [token(row, at, layer) for at in range(length)],
        )
        for row, length, prefix, long in wanted
    ]


def test_each_row_keeps_its_tokens_and_its_prefix() -> None:
    one = filled(0, [0, 1, 1, 2], [3, 1, 4, 2], [5, 2, 3])
    other = filled(10, [None, 0], [6, 2], [4])
    parts = [taken(one, 1, 3), taken(other, 0, 1)]
    assert [part.owners for part in parts] == [(0, 1), (None, 0)]
    cache = joined_cache(parts, room=3, steady=False)
    assert cache.end == 6
    for layer in range(LAYERS):
        wanted = ((1, 1, 51, 2), (3, 2, 52, 3), (10, 6, None, 0), (11, 2, 60, 4))
        assert held_by(cache, layer) == rows_of(layer, *wanted)


def test_rows_without_any_prefix_are_joined_too() -> None:
    parts = [taken(filled(0, [None, None], [2, 3], []), 1), taken(filled(10, [None], [1], []), 0)]
    cache = joined_cache(parts, room=1, steady=False)
    assert cache.prefixes.layers == {}
    assert held_by(cache, 1) == rows_of(1, (1, 3, None, 0), (10, 1, None, 0))


def test_two_rows_of_one_prefix_share_it_and_nobody_else_s_is_kept() -> None:
    part = taken(filled(0, [0, 1, 1], [1, 2, 3], [4, 2]), 1, 2)
    assert part.owners == (0, 0)
    assert [len(pairs) for pairs in part.prefixes.values()] == [1] * LAYERS
    assert numbers_of(part.prefixes[0][0][0]) == [token(51, at, 0) for at in range(2)]


def test_what_was_taken_out_is_a_copy_and_what_was_joined_is_given_up() -> None:
    cache = filled(0, [None, None], [2, 3], [])
    part = taken(cache, 0)
    cache.layers[0][0].zero_()
    assert numbers_of(part.layers[0][0]) == [token(0, at, 0) for at in range(2)]
    joined_cache([part], room=1, steady=False)
    assert part.layers == {}


@pytest.mark.parametrize("steady", [False, True])
def test_the_next_tokens_have_room_behind_all_rows(steady: bool) -> None:
    parts: list[Any] = [taken(filled(0, [None], [5], []), 0), taken(filled(10, [None], [2], []), 0)]
    cache = joined_cache(parts, room=3, steady=steady)
    keys, values = pair_of([7.0, 8.0])
    cache.append(0, (keys[None], values[None]))
    assert cache.columns >= cache.end + 3
    assert cache.layers[0][0][:, 0, cache.end, 0].tolist() == [7.0, 8.0]
