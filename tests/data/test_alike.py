from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from instruct_ablate.data.alike import alike, shared_prefix


def ids(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int32)


def test_shared_prefix_leaves_each_source_its_last_token() -> None:
    long = ids(*range(20))
    assert shared_prefix([long, long]) == 19
    assert shared_prefix([long, ids(*range(12))]) == 11
    assert shared_prefix([long, ids(*range(10), 99, 98, 97)]) == 10


def test_short_prefixes_and_single_examples_share_nothing() -> None:
    long = ids(*range(20))
    assert shared_prefix([long]) == 0
    assert shared_prefix([long, ids(0, 1, 2)]) == 0
    assert shared_prefix([long, ids(0, 1, 99, *range(3, 20))]) == 0


def divisions(places: Sequence[int]) -> Iterator[list[list[int]]]:
    """Every division of some places into groups."""
    if not places:
        yield []
        return
    first, *rest = places
    for division in divisions(rest):
        yield [[first], *division]
        for at, group in enumerate(division):
            yield [*division[:at], [first, *group], *division[at + 1 :]]


def cost(group: Sequence[int], sources: Sequence[np.ndarray], lengths: Sequence[int]) -> int:
    prefix = shared_prefix([sources[one] for one in group])
    return sum(lengths[one] for one in group) - (len(group) - 1) * prefix


def drawn(seed: int) -> tuple[list[np.ndarray], list[int]]:
    """Seven sources that branch off a few trunks, at places and with ids on both sides of a byte's end."""
    draw = np.random.default_rng(seed)
    trunks = [draw.integers(250, 260, 30) for _ in range(2)]
    trunks.append(np.concatenate([trunks[0][:14], trunks[1][14:]]))
    sources = []
    for _ in range(7):
        kept = int(draw.integers(2, 29))
        tail = draw.integers(250, 260, int(draw.integers(1, 8)))
        sources.append(np.concatenate([trunks[int(draw.integers(3))][:kept], tail]).astype(np.int32))
    return sources, [len(source) + int(draw.integers(1, 5)) for source in sources]


@pytest.mark.parametrize("limit", [40, 70, 1000])
@pytest.mark.parametrize("seed", range(6))
def test_groups_stay_within_the_limit_and_where_it_cuts_none_no_division_leaves_fewer_tokens(
    seed: int, limit: int
) -> None:
    sources, lengths = drawn(seed)
    found = alike(sources, lengths, limit, least=8)
    assert sorted(one for group in found for one in group) == list(range(7))
    assert all(len(group) == 1 or cost(group, sources, lengths) <= limit for group in found)
    left = sum(cost(group, sources, lengths) for group in found)
    assert left < sum(lengths)
    if limit == 1000:
        assert left == min(sum(cost(group, sources, lengths) for group in one) for one in divisions(range(7)))


def test_what_shares_nothing_is_left_as_it_came() -> None:
    sources = [ids(*range(start, start + 20)) for start in (300, 100, 200, 255)]
    assert alike(sources, [21] * 4, 100) == [[0], [1], [2], [3]]
    assert alike([], [], 100) == []


def test_groups_come_in_the_order_of_their_first_example() -> None:
    one, other = range(100, 130), range(50, 80)
    sources = [ids(*one, 1), ids(*other, 1), ids(*other, 2), ids(9, 9), ids(*one, 2), ids(*one, 1)]
    lengths = [len(source) + 1 for source in sources]
    assert alike(sources, lengths, 1000, least=30) == [[0, 4, 5], [1, 2], [3]]
    assert alike(sources, lengths, 1000, least=31) == [[one] for one in range(6)]


@pytest.mark.parametrize(("shared", "groups"), [(31, [[0], [1]]), (32, [[0, 1]])])
def test_what_is_too_short_to_gain_by_is_not_shared(shared: int, groups: list[list[int]]) -> None:
    sources = [ids(*range(shared), 100 + number, 0) for number in range(2)]
    assert alike(sources, [len(source) + 1 for source in sources], 1000) == groups


def test_a_limit_cuts_a_group() -> None:
    sources = [ids(*range(100), number, number) for number in range(6)]
    lengths = [103] * 6  # a group of n has 100 + 3n
    assert [len(group) for group in alike(sources, lengths, 118)] == [6]
    assert [len(group) for group in alike(sources, lengths, 109)] == [3, 3]
    assert [len(group) for group in alike(sources, lengths, 50)] == [1] * 6
