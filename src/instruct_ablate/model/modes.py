"""Modes a model is used in: evaluated (no dropout, no gradients), with exact logits, quiet; afterwards as it was.

Torch is loaded by who evaluates: a plan that asks how large a model is needs none.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
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


class Shared:
    """A context that those who are within share: the first enters it, the last leaves it, in whatever order they end.

    Cells side by side begin and end in any order. Where each put back what it had found, the first to end would undo
    it for the others, and the last would leave behind what the first had set.
    """

    def __init__(self, make: Callable[[], AbstractContextManager[object]]) -> None:
        self._make, self._within, self._entered = make, 0, ExitStack()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Be within."""
        if not self._within:
            self._entered.enter_context(self._make())
        self._within += 1
        try:
            yield
        finally:
            self._within -= 1
            if not self._within:
                self._entered.close()


@contextmanager
def _shapes_of_any_kind() -> Iterator[None]:
    """Let PyTorch's attention take kernels on a GPU that are there for every shape; those who are within may overlap.

    On Hopper GPUs it takes cuDNN's first, which are built anew, some 30 ms, for every number of rows and tokens: here
    hardly any two are alike. They also add gradients up in any order, and give none for a bias.
    """
    import torch

    former = torch.backends.cuda.cudnn_sdp_enabled()  # type: ignore[no-untyped-call]
    torch.backends.cuda.enable_cudnn_sdp(False)
    try:
        yield
    finally:
        torch.backends.cuda.enable_cudnn_sdp(former)


shapes_of_any_kind = Shared(_shapes_of_any_kind)


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
