from __future__ import annotations

import pytest
import torch
from torch import Tensor

from instruct_ablate.model.attention_scores import Scores
from instruct_ablate.model.training.layers.cpu_attention import BlockAttention, Plan
from instruct_ablate.model.training.layers.dropout_masks import Site, mixed, places, signed
from tests.model.training.layers.test_cpu_attention import LENGTHS, causal_blocks, spans, states


def site(tokens: int, rate: float, number: int = 7, fit: int = 1, example: int = 0) -> Site:
    examples = torch.full((tokens,), example)
    return Site.of(places(examples, torch.arange(tokens), fit, 1), number, rate)


def mask(given: Site, channels: int = 512) -> Tensor:
    return given.states(torch.ones(1, len(given.first), channels))[0] != 0


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_as_many_stay_as_asked_for_and_the_mean_is_kept(rate: float) -> None:
    made = site(2048, rate).states(torch.ones(1, 2048, 512))[0]
    share = (made == 0).double().mean()
    assert abs(share - rate) < 4 * (rate * (1 - rate) / made.numel()) ** 0.5
    assert made.max().item() == pytest.approx(1 / (1 - rate))
    dropped = (made == 0).double()
    for dimension, other in ((0, 512), (1, 2048)):
        spread = dropped.mean(1 - dimension).std() if dimension else dropped.mean(1).std()
        assert 0.8 < spread / (rate * (1 - rate) / other) ** 0.5 < 1.2, "rows and channels vary as by chance"


def test_what_differs_in_anything_draws_apart() -> None:
    first = mask(site(1000, 0.5))
    others = [
        mask(site(1000, 0.5, number=8)),
        mask(site(1000, 0.5, fit=2)),
        mask(site(1000, 0.5, example=1)),
        torch.roll(first, 1, 0),
        torch.roll(first, 1, 1),
    ]
    for other in others:
        assert abs((first == other).double().mean() - 0.5) < 0.01
    assert torch.equal(first, mask(site(1000, 0.5)))


def test_numbers_are_fixed_for_good() -> None:
    """Resumed cells, and other machines, must draw the same."""
    assert mixed(torch.tensor([0, 1, -1])).tolist() == FIXED
    assert signed(2**64 - 1) == -1
    drawn = mask(site(4, 0.5), 8)
    assert ["".join(str(int(one)) for one in row) for row in drawn] == DRAWN


FIXED = [0, 6238072747940578789, -5417735806833148549]
DRAWN = ["01101100", "01100001", "10111111", "01011001"]


def test_the_backward_pass_makes_the_same_mask() -> None:
    given = torch.randn(1, 300, 16, dtype=torch.float64, requires_grad=True)
    one = site(300, 0.3)
    made = one.states(given)
    (slope,) = torch.autograd.grad(made.sum(), given)
    assert torch.equal(slope != 0, made != 0)
    torch.testing.assert_close(made, given * slope)


def dense_mask(one: Site, heads: int, groups: int) -> Tensor:
    """All weights that stay, (heads, tokens, tokens), by sequence and place."""
    total = sum(LENGTHS)
    stays = torch.zeros(heads, total, total, dtype=torch.bool)
    for start, stop in spans(LENGTHS):
        own = one.kept((heads // groups, (stop - start) * groups, stop - start), start, stop)
        split = own.view(heads // groups, stop - start, groups, stop - start).transpose(1, 2)
        stays[:, start:stop, start:stop] = split.reshape(heads, stop - start, stop - start)
    return stays


@pytest.mark.parametrize("key_heads", [2, 6])
def test_attention_drops_weights_and_its_gradients_follow(key_heads: int) -> None:
    plan, seen = causal_blocks(LENGTHS)
    total = sum(LENGTHS)
    parts = [states(6, total, 0), states(key_heads, total, 1), states(key_heads, total, 2)]
    one = site(total, 0.4)
    given = BlockAttention.apply(*parts, None, Plan(plan, Scores(0.3), one))
    key, value = (part.repeat_interleave(6 // key_heads, 1) for part in parts[1:])
    weights = (parts[0] @ key.mT * 0.3).masked_fill(~seen, -torch.inf).softmax(-1)
    stays = dense_mask(one, 6, 6 // key_heads)
    assert abs(stays[:, seen].double().mean() - 0.6) < 0.01
    wanted = (weights * stays / 0.6 @ value).transpose(1, 2)
    torch.testing.assert_close(given, wanted)
    slopes = torch.randn_like(wanted)
    for ours, theirs in zip(
        torch.autograd.grad(given, parts, slopes), torch.autograd.grad(wanted, parts, slopes), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
