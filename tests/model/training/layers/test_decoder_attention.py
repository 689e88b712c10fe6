from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AttentionInterface

from instruct_ablate.data.micro_batch import NO_PARENT, Packed
from instruct_ablate.errors import UserError
from instruct_ablate.model.attention_scores import Scores
from instruct_ablate.model.training.layers.decoder_attention import NAME, PackedLayout
from instruct_ablate.model.training.layers.dropout_masks import Site, places

SCORES = Scores(0.3)


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


@pytest.mark.parametrize("window", [None, 5, 72, 200])
@pytest.mark.parametrize("parents", [None, (NO_PARENT, 0, NO_PARENT, 2, 2)])
def test_processors_and_other_devices_compute_the_same(
    parents: tuple[int, ...] | None, window: int | None
) -> None:
    scores = replace(SCORES, window=window)
    layout = PackedLayout(make_packed((70, 3, 9, 66, 1), parents))
    parts = random_states(149)
    by_block = layout.attend(*parts, scores)
    by_segment = layout.by_segment(*parts, scores).transpose(1, 2)
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
    together = layout.attend(*parts, SCORES)
    places = [*range(12), *range(17, 24)]
    alone = PackedLayout(make_packed((19,))).attend(*(part[:, :, places] for part in parts), SCORES)
    torch.testing.assert_close(together[:, 17:], alone[:, 12:])
    torch.testing.assert_close(together[:, :12], alone[:, :12])


def test_a_window_goes_back_into_the_parent_and_no_further() -> None:
    parts = [part.detach() for part in random_states(12 + 70)]
    layout = PackedLayout(make_packed((12, 70), (NO_PARENT, 0)))
    before = layout.attend(*parts, Scores(0.3, window=4))
    for part in parts:
        part[:, :, 9] += 100  # the third last of the parent: its first child's token sees it last of all
    changed = (before != layout.attend(*parts, Scores(0.3, window=4))).any(-1).any(-1)[0]
    assert changed.nonzero()[:, 0].tolist() == [9, 10, 11, 12]


@pytest.mark.parametrize("window", [None, 30])
def test_weights_are_dropped_alike_in_groups_and_alone(window: int | None) -> None:
    parts = [part.detach() for part in random_states(40 + 90)]
    tokens = places(torch.zeros(130, dtype=torch.int64), torch.arange(130), 0, 1)
    site, scores = Site.of(tokens, 7, 0.4), Scores(0.3, window)
    together = PackedLayout(make_packed((40, 90), (NO_PARENT, 0))).attend(*parts, scores, site)
    alone = PackedLayout(make_packed((130,))).attend(*parts, scores, site)
    torch.testing.assert_close(together, alone)
    assert not torch.allclose(alone, PackedLayout(make_packed((130,))).attend(*parts, scores))


def test_capped_scores_and_their_gradients() -> None:
    layout, scores = PackedLayout(make_packed((70,))), Scores(2.0, window=40, cap=1.5)
    query, key, value = random_states(70)
    given = layout.attend(query, key, value, scores)
    keys, values = (part.repeat_interleave(2, 1) for part in (key, value))
    seen = torch.ones(70, 70, dtype=torch.bool).tril().triu(-39)
    capped = (1.5 * torch.tanh(query @ keys.mT * 2.0 / 1.5)).masked_fill(~seen, -torch.inf)
    wanted = (capped.softmax(-1) @ values).transpose(1, 2)
    torch.testing.assert_close(given, wanted)
    for one, other in zip(
        torch.autograd.grad(given.sin().sum(), (query, key, value)),
        torch.autograd.grad(wanted.sin().sum(), (query, key, value)),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_nothing_leaks_to_a_neighbour() -> None:
    parts = [part.detach() for part in random_states(20)]
    layout = PackedLayout(make_packed((8, 12)))
    before = layout.attend(*parts, SCORES)
    for part in parts:
        part[:, :, :8] += 100
    after = layout.attend(*parts, SCORES)
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


@pytest.mark.parametrize("keywords", [{"s_aux": torch.ones(4)}])
def test_attention_that_is_not_known_here_is_refused(keywords: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=next(iter(keywords)).split("_")[-1]):
        call(PackedLayout(make_packed((6,))), **keywords)


def test_a_window_wider_than_the_sequences_changes_nothing() -> None:
    layout = PackedLayout(make_packed((6,)))
    assert torch.equal(call(layout, sliding_window=6), call(layout))
