"""From the last hidden states to logits, as each family's own forward pass does after its output layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class OutputLayer:
    """A linear layer, a factor (Cohere, Granite) and a bound (Gemma) on what it gives."""

    linear: nn.Module
    factor: float = 1.0
    cap: float | None = None

    @classmethod
    def of(cls, model: Any) -> OutputLayer:
        """Read factor and bound from a model's configuration."""
        settings = model.config.get_text_config().to_dict()
        factor = float(settings.get("logit_scale") or 1.0) / float(settings.get("logits_scaling") or 1.0)
        return cls(model.get_output_embeddings(), factor, settings.get("final_logit_softcapping"))

    def logits(self, states: Tensor) -> Tensor:
        """Return the logits of hidden states."""
        return self.bounded(self.linear(states))

    def bounded(self, logits: Tensor) -> Tensor:
        """Apply factor and bound to what the linear layer gives."""
        if self.factor != 1.0:
            logits = logits * self.factor
        return logits if self.cap is None else torch.tanh(logits / self.cap) * self.cap

    def growth(self, logits: Tensor) -> Tensor | float:
        """Return how fast logits grow with what the linear layer gives."""
        return self.factor if self.cap is None else (1 - (logits / self.cap).square_()).mul_(self.factor)
