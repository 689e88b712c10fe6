from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AttentionInterface

from instruct_ablate.data.micro_batch import NO_PARENT, Packed
from instruct_ablate.errors import UserError
from instruct_ablate.model.training.decoder_attention import NAME, PackedLayout


def make_packed(lengths: tuple[int, ...], parents: tuple[int, ...] | None = None) -> Packed:
    parents = parents or (NO_PARENT,) * len(lengths)
    starts = [0 if parent == NO_PARENT else lengths[parent] for parent in parents]
    positions = [torch.arange(start, start + n) for start, n in zip(starts, lengths, strict=True)]
    offsets = torch.tensor([0, *lengths]).cumsum(0).int()
    return Packed(
        torch.zeros(sum(lengths), dtype=torch.int64), torch.cat(positions), offsets, lengths, parents
    )


def random_states(tokens: int) -> list[Tensor]:
    torch.manual_seed(0)
    return [torch.randn(1, heads, tokens, 8, requires_grad=True) for heads in (4, 2, 2)]


@pytest.mark.parametrize("parents", [None, (NO_PARENT, 0, NO_PARENT, 2, 2)])
def test_processors_and_other_devices_compute_the_same(parents: tuple[int, ...] | None) -> None:
    layout = PackedLayout(make_packed((70, 3, 9, 66, 1), parents))
    parts = random_states(149)
    by_block = layout.attend(*parts, 0.3)
    by_segment = layout.by_segment(*parts, 0.3).transpose(1, 2)
    torch.testing.assert_close(by_block, by_segment)
    for one, other in zip(
        torch.autograd.grad(by_block.sin().sum(), parts),
        torch.autograd.grad(by_segment.sin().sum(), parts),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_segments_with_a_parent_attend_as_whole_sequences_do() -> None:
    parts = random_states(12 + 5 + 7)
    layout = PackedLayout(make_packed((12, 5, 7), (NO_PARENT, 0, 0)))
    together = layout.attend(*parts, 0.3)
    places = [*range(12), *range(17, 24)]
    alone = PackedLayout(make_packed((19,))).attend(*(part[:, :, places] for part in parts), 0.3)
    torch.testing.assert_close(together[:, 17:], alone[:, 12:])
    torch.testing.assert_close(together[:, :12], alone[:, :12])


def test_nothing_leaks_to_a_neighbour() -> None:
    parts = [part.detach() for part in random_states(20)]
    layout = PackedLayout(make_packed((8, 12)))
    before = layout.attend(*parts, 0.3)
    for part in parts:
        part[:, :, :8] += 100
    after = layout.attend(*parts, 0.3)
    assert torch.equal(before[:, 8:], after[:, 8:])
    assert not torch.equal(before[:, :8], after[:, :8])


def call(layout: PackedLayout, **keywords: Any) -> Tensor:
    attention = AttentionInterface()[NAME]
    parts = random_states(layout.longest)
    return attention(torch.nn.Identity(), *parts, None, packed=layout, **keywords)[0]


def test_scale_is_that_of_the_model_or_the_usual_one() -> None:
    layout = PackedLayout(make_packed((6,)))
    torch.testing.assert_close(call(layout, scaling=8**-0.5), call(layout))
    assert not torch.equal(call(layout, scaling=1.0), call(layout))


@pytest.mark.parametrize("keywords", [{"softcap": 30.0}, {"s_aux": torch.ones(4)}, {"sliding_window": 4}])
def test_attention_that_is_not_known_here_is_refused(keywords: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=next(iter(keywords)).split("_")[-1]):
        call(PackedLayout(make_packed((6,))), **keywords)


def test_a_window_wider_than_the_sequences_changes_nothing() -> None:
    layout = PackedLayout(make_packed((6,)))
    assert torch.equal(call(layout, sliding_window=6), call(layout))
