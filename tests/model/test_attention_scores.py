from __future__ import annotations

import pytest
import torch

from instruct_ablate.model.attention_scores import Scores


def test_they_are_what_a_family_hands_down() -> None:
    query = torch.zeros(1, 2, 3, 16)
    assert Scores.of(query, {}) == Scores(0.25)
    keywords = {"scaling": 0.5, "sliding_window": 8, "softcap": 30.0, "dropout": 0.0}
    assert Scores.of(query, keywords) == Scores(0.5, 8, 30.0)


@pytest.mark.parametrize("cap", [None, 1.5])
def test_growth_is_the_slope_of_scores(cap: float | None) -> None:
    products = torch.linspace(-4, 4, 9, dtype=torch.float64, requires_grad=True)
    scores, scaled = Scores(0.7, cap=cap), products * 0.7
    expected = scaled if cap is None else cap * torch.tanh(scaled / cap)
    found = scores.of_products(products.detach().clone())
    torch.testing.assert_close(found, expected)
    slopes = torch.autograd.grad(expected.sum(), products)[0]
    torch.testing.assert_close(torch.as_tensor(scores.growth(found)).expand(9).double(), slopes)
