"""Trials that show whether what is computed here is what a model itself computes: a few tokens, beyond any window."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

WINDOW = 5  # during a trial: its few tokens must reach beyond
# Allowed differences in standard deviations of the logits: rounding stays far below, another attention far above.
EXACT, ROUNDED = 0.02, 0.5


@contextmanager
def short_windows(model: Any) -> Iterator[None]:
    """Let sliding windows be short while this lasts, in the layers and in the configuration that masks are made by."""
    owners: dict[int, Any] = {}
    for part in model.modules():
        for owner in (part, getattr(part, "config", None)):
            window = getattr(owner, "sliding_window", None)
            if isinstance(window, int) and window > WINDOW:
                owners[id(owner)] = owner
    former = [(owner, owner.sliding_window) for owner in owners.values()]
    try:
        for owner, _ in former:
            owner.sliding_window = WINDOW
        yield
    finally:
        for owner, window in former:
            owner.sliding_window = window


def trial_tokens(model: Any, count: int) -> list[int]:
    """Return tokens to try a model on."""
    size = model.config.get_text_config().vocab_size
    return [3 + (7 * place * place) % (size - 3) for place in range(count)]


def agree(given: Tensor, wanted: Tensor) -> bool:
    """Whether logits differ by no more than rounding explains."""
    bound = EXACT if wanted.dtype == torch.float32 else ROUNDED
    return bool((given.float() - wanted.float()).abs().max() <= bound * wanted.float().std())
