"""A model as it is trained, and the weights that training gave put into it: for the fit, and for who exports them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from instruct_ablate.model.adapters import bare
from instruct_ablate.model.training.lora import adapt
from instruct_ablate.model.transformers_internals import replaced
from instruct_ablate.schema import Config


def make_trainable(model: Any, config: Config) -> Any:
    """Return the model as it is trained: dropout off, adapters added, checkpointing on where asked for.

    The layers' own dropout is off: its draws would depend on how a step is divided among micro-batches and devices;
    `trainer.dropout` has masks that do not.
    """
    for part in model.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
        for name in [name for name, rate in vars(part).items() if "drop" in name and isinstance(rate, float)]:
            setattr(part, name, 0.0)  # of attention, of activations, of whole layers: as families call it
    model.config.use_cache = False
    model = adapt(model, config.method, config.seed) if config.method.name == "lora" else model
    if config.trainer.activation_checkpointing:
        inner = bare(model)
        # Reentrant checkpointing alone needs it; here gradients would be computed below what is trained.
        with replaced("enable_input_require_grads", {inner: lambda: None}):
            inner.activation_checkpointing_enable({"use_reentrant": False})
    return model.train()


@torch.no_grad()
def set_weights(model: Any, weights: Sequence[Tensor]) -> None:
    """Put trained weights into the parameters that were trained, and leave no gradients behind."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter, weight in zip(trained, weights, strict=True):
        parameter.copy_(weight)
        parameter.grad = None
