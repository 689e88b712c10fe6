"""Modes a model is used in: evaluated (no dropout, no gradients), with exact logits, quiet; afterwards as it was.

Torch is loaded by who evaluates: a plan that asks how large a model is needs none.
"""

from __future__ import annotations

import warnings
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
        with shapes_of_any_kind(), torch.inference_mode() if inference else torch.no_grad():
            yield
    finally:
        for module, mode in training:
            module.training = mode


@contextmanager
def shapes_of_any_kind() -> Iterator[None]:
    """Let PyTorch's attention take kernels on a GPU that are there for every shape; those who are within may overlap.

    On Hopper GPUs it takes cuDNN's first, which are built anew, some 30 ms, for every number of rows and tokens: here
    hardly any two are alike. They also add gradients up in any order, and give none for a bias.
    """
    import torch

    if not _WITHIN:
        _FORMER[:] = [torch.backends.cuda.cudnn_sdp_enabled()]  # type: ignore[no-untyped-call]
    _WITHIN.append(None)
    torch.backends.cuda.enable_cudnn_sdp(False)
    try:
        yield
    finally:
        _WITHIN.pop()
        if not _WITHIN:
            torch.backends.cuda.enable_cudnn_sdp(_FORMER[0])


_WITHIN: list[None] = []  # one for each that is within: cells side by side begin and end in any order
_FORMER: list[bool] = []


@contextmanager
def quiet() -> Iterator[None]:
    """Silence transformers inside, and peft, which calls it by old names; what was set comes back, on errors too."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
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
