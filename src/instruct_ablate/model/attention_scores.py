"""How a layer's attention scores come about: what its family hands to transformers' attention functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor


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
