"""How a layer's attention scores come about: what its family hands to transformers' attention functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


def reach_both_ways(window: int) -> tuple[int, int]:
    """Return from less than how many places away tokens before and behind are seen by a window that looks both ways.

    As T5Gemma 2's encoder divides it: the token itself counts in both numbers.
    """
    return (window + 1) // 2, window // 2 + 1


def sees_both_ways(length: int, window: int | None, device: torch.device) -> Tensor | None:
    """Return which tokens of a sequence see which, (length, length); None where each sees all."""
    if window is None or length <= min(reach_both_ways(window)):
        return None
    before, behind = reach_both_ways(window)
    return torch.ones(length, length, dtype=torch.bool, device=device).triu(1 - before).tril(behind - 1)


@dataclass(frozen=True, slots=True)
class Scores:
    """Products of queries and keys times `scale`, bounded by `cap`; keys are seen from less than `window` places away.

    The window counts the query's own place, as transformers' masks do.
    """

    scale: float
    window: int | None = None
    cap: float | None = None

    @classmethod
    def of(cls, query: Tensor, keywords: Mapping[str, Any]) -> Scores:
        """Read them from an attention function's keywords."""
        scale = keywords.get("scaling")
        return cls(
            query.shape[-1] ** -0.5 if scale is None else scale,
            keywords.get("sliding_window"),
            keywords.get("softcap"),
        )

    def of_products(self, products: Tensor) -> Tensor:
        """Scale and cap products of queries and keys, in place."""
        if self.scale != 1.0:
            products.mul_(self.scale)
        return products if self.cap is None else products.div_(self.cap).tanh_().mul_(self.cap)

    def growth(self, scores: Tensor) -> Tensor | float:
        """Return how fast capped scores grow with the products they come from."""
        return (
            self.scale if self.cap is None else (scores / self.cap).square_().neg_().add_(1).mul_(self.scale)
        )
