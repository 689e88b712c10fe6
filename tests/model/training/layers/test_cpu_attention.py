from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from instruct_ablate.model.attention_scores import Scores
from instruct_ablate.model.training.layers import cpu_attention
from instruct_ablate.model.training.layers.cpu_attention import ROWS, Block, BlockAttention, Plan, blocks
from instruct_ablate.model.training.layers.dropout_masks import Site
from tests.left_out import left_out

LENGTHS = (ROWS + 13, 5, 2 * ROWS, 1)


def states(heads: int, tokens: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    torch.manual_seed(seed)
    return torch.randn(1, tokens, heads, 8, dtype=dtype).transpose(1, 2).requires_grad_()


def spans(lengths: tuple[int, ...]) -> list[tuple[int, int]]:
    ends = [sum(lengths[: place + 1]) for place in range(len(lengths))]
    return [(end - length, end) for end, length in zip(ends, lengths, strict=True)]


def dense(query: Tensor, key: Tensor, value: Tensor, seen: Tensor, bias: Tensor | float = 0.0) -> Tensor:
    repeats = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(repeats, 1), value.repeat_interleave(repeats, 1)
    scores = (query @ key.mT * 0.3 + bias).masked_fill(~seen, -math.inf)
    return (scores.softmax(-1) @ value).transpose(1, 2)


def causal_blocks(lengths: tuple[int, ...]) -> tuple[list[Block], Tensor]:
    """Blocks of sequences without parents, and who sees whom."""
    seen = torch.zeros(sum(lengths), sum(lengths), dtype=torch.bool)
    plan = []
    for start, stop in spans(lengths):
        seen[start:stop, start:stop] = torch.ones(stop - start, stop - start).tril().bool()
        plan += blocks((start, stop), [], True)
    return plan, seen


@pytest.mark.parametrize("key_heads", [1, 2, 6])
def test_sequences_see_their_own_past_alone(key_heads: int) -> None:
    plan, seen = causal_blocks(LENGTHS)
    parts = [
        states(6, sum(LENGTHS), 0),
        states(key_heads, sum(LENGTHS), 1),
        states(key_heads, sum(LENGTHS), 2),
    ]
    given = BlockAttention.apply(*parts, None, Plan(plan, Scores(0.3)))
    wanted = dense(*parts, seen)
    assert given.shape == (1, sum(LENGTHS), 6, 8)
    torch.testing.assert_close(given, wanted)
    slopes = torch.randn_like(wanted)
    # Gradients of keys are summed in fp32.
    for one, other in zip(
        torch.autograd.grad(given, parts, slopes), torch.autograd.grad(wanted, parts, slopes), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_parents_are_seen_whole_and_get_gradients_from_all_children() -> None:
    lengths = (70, 9, 80, 4)
    places = spans(lengths)
    plan, seen = list(blocks(places[0], [], True)), torch.zeros(sum(lengths), sum(lengths), dtype=torch.bool)
    seen[:70, :70] = torch.ones(70, 70).tril().bool()
    for start, stop in places[1:]:
        plan += blocks((start, stop), [places[0]], True)
        seen[start:stop, :70] = True
        seen[start:stop, start:stop] = torch.ones(stop - start, stop - start).tril().bool()
    parts = [states(4, sum(lengths), 0), states(2, sum(lengths), 1), states(2, sum(lengths), 2)]
    given, wanted = BlockAttention.apply(*parts, None, Plan(plan, Scores(0.3))), dense(*parts, seen)
    torch.testing.assert_close(given, wanted)
    for one, other in zip(
        torch.autograd.grad(given.sin().sum(), parts),
        torch.autograd.grad(wanted.sin().sum(), parts),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("causal", [True, False])
def test_bias_is_added_and_its_gradient_summed_over_sequences(causal: bool) -> None:
    lengths = (ROWS + 3, 7)
    longest, total = max(lengths), sum(lengths)
    bias = torch.randn(3, longest, longest, dtype=torch.float64, requires_grad=True)
    parts = [states(3, total, seed) for seed in range(3)]
    plan, seen, pairs = [], torch.zeros(total, total, dtype=torch.bool), torch.zeros(3, total, total).double()
    for start, stop in spans(lengths):
        size = stop - start
        plan += blocks((start, stop), [] if causal else [(start, stop)], causal)
        own = torch.ones(size, size).bool()
        seen[start:stop, start:stop] = own.tril() if causal else own
        pairs = pairs + torch.nn.functional.pad(bias[:, :size, :size], (start, total - stop) * 2)
    given, wanted = BlockAttention.apply(*parts, bias, Plan(plan, Scores(0.3))), dense(*parts, seen, pairs)
    torch.testing.assert_close(given, wanted)
    for one, other in zip(
        torch.autograd.grad(given.sin().sum(), [*parts, bias]),
        torch.autograd.grad(wanted.sin().sum(), [*parts, bias]),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_targets_attend_to_their_own_source_alone() -> None:
    sources, targets = (90, 4), (3, ROWS + 2)
    plan, seen = [], torch.zeros(sum(targets), sum(sources), dtype=torch.bool)
    for asking, asked in zip(spans(targets), spans(sources), strict=True):
        plan += blocks(asking, [asked], False)
        seen[slice(*asking), slice(*asked)] = True
    parts = [states(2, sum(targets), 0), states(2, sum(sources), 1), states(2, sum(sources), 2)]
    torch.testing.assert_close(
        BlockAttention.apply(*parts, None, Plan(plan, Scores(0.3))), dense(*parts, seen)
    )


def test_bf16_is_as_near_to_the_truth_as_bf16_can_be() -> None:
    plan, seen = causal_blocks(LENGTHS)
    exact = [states(4, sum(LENGTHS), 0), states(2, sum(LENGTHS), 1), states(2, sum(LENGTHS), 2)]
    low = [part.detach().bfloat16().requires_grad_() for part in exact]
    wanted, given = dense(*exact, seen), BlockAttention.apply(*low, None, Plan(plan, Scores(0.3)))
    assert (given.double() - wanted).abs().max() < 0.03
    for one, other in zip(
        torch.autograd.grad(given.double().sum(), low), torch.autograd.grad(wanted.sum(), exact), strict=True
    ):
        assert one.dtype == torch.bfloat16
        assert (one.double() - other).abs().max() < 0.02 * other.abs().max() + 0.02


def test_blocks_cover_every_query_once() -> None:
    found = list(blocks((10, 10 + 2 * ROWS + 1), [(0, 4)], True))
    assert [(block.first, block.last) for block in found] == [
        (10, 10 + ROWS),
        (10 + ROWS, 10 + 2 * ROWS),
        (10 + 2 * ROWS, 11 + 2 * ROWS),
    ]
    assert [block.spans for block in found] == [((0, 4), (10, block.last)) for block in found]
    assert [block.place for block in found] == [0, ROWS, 2 * ROWS]


def test_blocks_leave_out_what_no_window_reaches() -> None:
    found = list(blocks((20, 20 + 2 * ROWS), [(0, 10)], True, ROWS + 8))
    assert [(block.spans, block.skipped, block.window) for block in found] == [
        (((0, 10), (20, 20 + ROWS)), 0, ROWS + 8),  # its last query does not see the first key any more
        (((3, 10), (20, 20 + 2 * ROWS)), 3, ROWS + 8),
    ]
    (*_, last) = blocks((20, 20 + 3 * ROWS), [(0, 10)], True, 8)
    assert (last.spans, last.skipped) == (((20 + 2 * ROWS - 7, 20 + 3 * ROWS),), 2 * ROWS + 3)
    assert [block.window for block in blocks((0, 2 * ROWS), [], True, ROWS)] == [None, ROWS]


def test_what_is_left_out() -> None:
    assert left_out(Block) == {"causal": True, "place": 0, "skipped": 0, "free": 0}


@pytest.mark.parametrize("dropped", [False, True])
def test_a_scale_that_moves_no_digit_stands_before_the_products_for_the_same_bits(
    dropped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, _ = causal_blocks(LENGTHS)
    parts = [
        states(6, sum(LENGTHS), 0, torch.bfloat16),
        states(2, sum(LENGTHS), 1, torch.bfloat16),
        states(2, sum(LENGTHS), 2, torch.bfloat16),
    ]
    site = Site.of(torch.arange(sum(LENGTHS)), 3, 0.3) if dropped else None
    slopes = torch.randn(1, sum(LENGTHS), 6, 8).bfloat16() / 1000

    def bits() -> list[Tensor]:
        given = BlockAttention.apply(*parts, None, Plan(plan, Scores(0.125), site))
        return [given, *torch.autograd.grad(given, parts, slopes)]

    taken: list[float] = []
    real = Scores.of_products
    monkeypatch.setattr(
        Scores, "of_products", lambda own, some: (taken.append(own.scale), real(own, some))[1]
    )
    found = bits()
    assert set(taken) == {1.0}
    monkeypatch.setattr(cpu_attention, "_before_products", lambda scores, _: (1.0, scores))
    assert all(map(torch.equal, bits(), found))
    assert set(taken) == {1.0, 0.125}


@pytest.mark.parametrize("scores", [Scores(0.3), Scores(0.125, cap=50.0), Scores(64**-0.5 * 1.01)])
def test_other_scales_stay_behind_the_products(scores: Scores) -> None:
    assert cpu_attention._before_products(scores, torch.bfloat16) == (1.0, scores)
    assert cpu_attention._before_products(Scores(0.125), torch.float16) == (1.0, Scores(0.125))


def test_a_scale_of_one_costs_nothing_before_and_behind() -> None:
    given = Scores(1.0, window=3)
    assert cpu_attention._before_products(given, torch.bfloat16) == (1.0, given)
