"""Modes a model is used in: evaluated (no dropout, no gradients), with exact logits, quiet; afterwards as it was.

Torch is loaded by who evaluates: a plan that asks how large a model is needs none.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import nn


@contextmanager
def evaluating(model: torch.nn.Module, inference: bool = True) -> Iterator[None]:
    """Evaluation mode in inference mode (or only without gradients); each module's own mode is restored."""
    import torch

    training = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.inference_mode() if inference else torch.no_grad():
            yield
    finally:
        for module, mode in training:
            module.training = mode


@contextmanager
def quiet() -> Iterator[None]:
    """Silence transformers inside; what it was set to before comes back, on errors too."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


@contextmanager
def exact_logits(model: Any) -> Iterator[None]:
    """Let the last layer give fp32 logits: in bf16 one in some thirty pairs of labels would tie by rounding."""
    import torch
    import torch.nn.functional as F
    from torch import nn

    head = model.get_output_embeddings()
    if type(head) is not nn.Linear or head.weight.dtype == torch.float32:
        yield
        return
    weight, bias = head.weight.float(), None if head.bias is None else head.bias.float()

    def project(_: nn.Linear, inputs: tuple[torch.Tensor], __: torch.Tensor) -> torch.Tensor:
        return F.linear(inputs[0].float(), weight, bias)

    hook = head.register_forward_hook(project)
    try:
        yield
    finally:
        hook.remove()
