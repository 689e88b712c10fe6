"""What a GPU is given, computed here by plain products in the kernels' place."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from instruct_ablate.data.micro_batch import NO_PARENT
from instruct_ablate.model import cuda_attention
from instruct_ablate.model.attention_scores import Scores
from instruct_ablate.model.cuda_attention import (
    NEAR,
    WASTE,
    SideBySide,
    alike,
    behind_parents,
    beside,
    in_one_order,
    takes_whole_batches,
)
from instruct_ablate.model.training.layers import decoder_attention, merged_attention, t5_attention
from instruct_ablate.model.training.layers.decoder_attention import PackedLayout
from instruct_ablate.model.training.layers.t5_attention import T5Layout
from tests.model.training.layers.test_decoder_attention import make_packed, random_states

CPU = torch.device("cpu")
TREE = (NO_PARENT, 0, NO_PARENT, 2, 2)
LENGTHS = (70, 3, 9, 66, 1)


def dense(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    lengths: tuple[Tensor, Tensor, int, int],
    scale: float,
    reach: tuple[int, int],
) -> Tensor:
    """FlashAttention's kernel for unequal lengths, sequence by sequence: its future begins at the last key."""
    parts = []
    key, value = (states.repeat_interleave(query.shape[1] // states.shape[1], 1) for states in (key, value))
    offsets = zip(*(part.tolist() for part in lengths[:2]), strict=True)
    for (first, start), (last, stop) in itertools.pairwise(offsets):
        assert (last - first) <= lengths[2]
        assert (stop - start) <= lengths[3]
        scores = query[first:last].transpose(0, 1) @ key[start:stop].transpose(0, 1).mT * scale
        behind = torch.arange(start - stop, 0) - torch.arange(first - last, 0)[:, None]
        before, after = (float("inf") if far < 0 else far for far in reach)
        scores = scores.masked_fill((behind > after) | (-behind > before), float("-inf"))
        parts.append((scores.softmax(-1) @ value[start:stop].transpose(0, 1)).transpose(0, 1))
    return torch.cat(parts)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_attention, "flash_attention", dense)


def assert_alike(found: Tensor, wanted: Tensor, leaves: list[Tensor]) -> None:
    torch.testing.assert_close(found, wanted)
    pairs = zip(*(torch.autograd.grad(one.sin().sum(), leaves) for one in (found, wanted)), strict=True)
    for one, other in pairs:
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("window", [None, 5, 72])
@pytest.mark.parametrize("parents", [(NO_PARENT,) * 5, TREE])
def test_all_segments_at_once_are_what_processors_compute(
    parents: tuple[int, ...], window: int | None
) -> None:
    parts = random_states(149)
    wanted = PackedLayout(make_packed(LENGTHS, parents)).attend(*parts, Scores(0.3, window))
    segments = behind_parents(LENGTHS, parents, CPU)
    assert_alike(segments.attend(*parts, 0.3, True, window), wanted, parts)
    assert (segments.order is None) == (parents != TREE)
    assert (segments.longest_query, segments.longest_key) == (70, int(segments.keys.diff().max()))


@pytest.mark.usefixtures("kernel")
def test_targets_see_their_own_sources() -> None:
    torch.manual_seed(0)
    sources, targets = make_packed((70, 3, 9)), make_packed((2, 5, 1))
    query = torch.randn(1, 4, 8, 8, requires_grad=True)
    key, value = (torch.randn(1, 4, 82, 8, requires_grad=True) for _ in range(2))
    wanted = T5Layout(targets, sources, causal=False).attend(query, key, value, None)
    found = beside(targets.lengths, sources.lengths, CPU).attend(query, key, value, 1.0, causal=False)
    assert_alike(found, wanted, [query, key, value])


@pytest.mark.parametrize("causal", [True, False])
def test_sequences_side_by_side_have_the_bias_and_its_gradient(causal: bool) -> None:
    torch.manual_seed(0)
    packed = make_packed(LENGTHS)
    parts = [torch.randn(1, 4, 149, 8, requires_grad=True) for _ in range(3)]
    bias = torch.randn(4, 70, 70, requires_grad=True)
    wanted = T5Layout(packed, packed, causal).attend(*parts, bias)
    layout = SideBySide(LENGTHS, CPU)
    assert len(layout.groups) == 2
    assert_alike(layout.attend(*parts, bias, causal), wanted, [*parts, bias])


def test_groups_hold_sequences_of_like_length() -> None:
    lengths = [7, 900, 30, 1000, 400, 31, 810, 1]
    groups = list(alike(lengths))
    assert sorted(place for group in groups for place in group) == list(range(8))
    assert groups == [[3, 1, 6], [4], [5, 2, 0, 7]]
    for group in groups:
        longest, shortest = lengths[group[0]], lengths[group[-1]]
        assert longest <= max(WASTE * shortest, shortest + NEAR)


def test_the_kernels_are_tried_and_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    def tried(kernel: Any) -> bool:
        monkeypatch.setattr(cuda_attention, "flash_attention", kernel)
        cuda_attention._works.cache_clear()
        return cuda_attention._works(CPU, torch.bfloat16, (4, 2, 8))

    assert tried(dense)
    assert not tried(lambda *given: dense(*given[:5], (given[5][0], -1)))  # sees the future
    assert not tried(lambda *given: dense(*given[:5], (-1, given[5][1])))  # knows no window
    assert not tried(lambda *given: dense(*given).detach())  # has no gradient
    cuda_attention._works.cache_clear()


def test_where_there_is_no_such_kernel_segments_go_one_by_one(caplog: pytest.LogCaptureFixture) -> None:
    cuda_attention._works.cache_clear()
    with torch.inference_mode():  # as in decoding
        assert not cuda_attention._works(CPU, torch.bfloat16, (4, 2, 8))
    assert "FlashAttention is not to be had" in caplog.text
    cuda_attention._works.cache_clear()
    states = torch.zeros(1, 4, 3, 8, dtype=torch.bfloat16)
    assert not takes_whole_batches(states, states)  # a processor is not asked at all


def test_a_trial_within_a_recomputed_layer_saves_nothing_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch.utils.checkpoint import checkpoint

    monkeypatch.setattr(cuda_attention, "flash_attention", dense)
    cuda_attention._works.cache_clear()

    def layer(states: Tensor) -> Tensor:
        cuda_attention._works(CPU, torch.float32, (2, 2, 8))  # the second time it is known
        return states.sin().sin()

    states = torch.ones(3, requires_grad=True)
    checkpoint(layer, states, use_reentrant=False).sum().backward()
    assert states.grad is not None
    cuda_attention._works.cache_clear()


@pytest.mark.parametrize("window", [None, 5, 200])
def test_elsewhere_than_on_processors_a_layer_is_one_call(
    window: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[Any] = []

    def note(query: Tensor, *given: Any) -> Tensor:
        called.append(given)
        return query

    monkeypatch.setattr(cuda_attention, "flash_attention", note)
    monkeypatch.setattr(
        "instruct_ablate.model.training.layers.decoder_attention.takes_whole_batches", lambda *_: True
    )
    layout = PackedLayout(make_packed(LENGTHS, TREE))
    parts = [torch.empty(1, heads, 149, 8, device="meta") for heads in (4, 2, 2)]
    layout.device = torch.device("meta")
    assert layout.attend(*parts, Scores(0.3, window)).shape == (1, 149, 4, 8)
    assert [given[-1] for given in called] == [
        (4 if window == 5 else -1, 0)
    ]  # a window wider than all is none


class _Told(torch.autograd.Function):
    """A kernel that notes whether it must add up in one order, in its backward pass."""

    heard: ClassVar[list[tuple[bool, bool]]] = []

    @staticmethod
    def forward(ctx: Any, states: Tensor) -> Tensor:
        return states * 2

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        warns = torch.is_deterministic_algorithms_warn_only_enabled()
        _Told.heard.append((torch.are_deterministic_algorithms_enabled(), warns))
        return gradients[0] * 2


@pytest.mark.parametrize(
    ("before", "within"),
    [((True, True), (True, False)), ((True, False), (True, False)), ((False, False), (False, False))],
)
def test_an_attention_kernel_adds_gradients_up_in_one_order_where_a_fit_asks_for_it(
    before: tuple[bool, bool], within: tuple[bool, bool]
) -> None:
    former = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    _Told.heard.clear()
    try:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        given = torch.ones(2, requires_grad=True)
        kernel: Any = in_one_order(_Told.apply(given))  # type: ignore[no-untyped-call]
        _Told.apply(kernel).sum().backward()  # type: ignore[no-untyped-call]
        after = (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
        )
    finally:
        torch.use_deterministic_algorithms(former[0], warn_only=former[1])
    assert _Told.heard == [before, within]
    assert after == before


@pytest.mark.usefixtures("kernel")
def test_all_ways_of_a_gpu_ask_for_one_order(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, ...]] = []

    def noted(output: Tensor) -> Tensor:
        asked.append(tuple(output.shape))
        return output

    for module in (cuda_attention, decoder_attention, merged_attention, t5_attention):
        monkeypatch.setattr(module, "in_one_order", noted)
    states = [torch.randn(1, 2, 9, 8) for _ in range(3)]
    behind_parents([4, 5], [NO_PARENT, 0], CPU).attend(states[0], states[1], states[2], 1.0, causal=True)
    SideBySide([4, 5], CPU).attend(
        states[0], states[1], states[2], torch.zeros(2, 5, 5, dtype=torch.float32), causal=True
    )
    packed = make_packed((4, 5))
    PackedLayout(packed).by_segment(states[0], states[1], states[2], Scores(1.0))
    T5Layout(packed, packed, causal=True).by_sequence(states[0], states[1], states[2], None)
    sides: Any = SimpleNamespace(
        queries=[4, 5], seen=lambda given: torch.split(given, [4, 5], 2), mask=lambda *_: None
    )
    merged_attention.by_sequence(sides, states[0], states[1], states[2], Scores(1.0))
    assert asked == [(9, 2, 8), (2, 2, 16, 8), *[(1, 2, 4, 8), (1, 2, 5, 8)] * 3]
