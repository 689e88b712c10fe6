"""A model as it is trained, and the weights that training gave put into it: for the fit, and for who exports them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from instruct_ablate.model.adapters import bare, reads_text
from instruct_ablate.model.training.lora import adapt
from instruct_ablate.model.transformers_internals import replaced
from instruct_ablate.model.trial import changing_nothing
from instruct_ablate.schema import Config


def make_trainable(model: Any, config: Config) -> Any:
    """Return the model as it is trained: dropout off, adapters added, checkpointing on where asked for.

    The layers' own dropout is off: its draws would depend on how a step is divided among micro-batches and devices;
    `trainer.dropout` has masks that do not. Parts that read pictures (`of_pictures`) are frozen in full tuning too:
    they get no gradient, and need neither masters, moments nor room in checkpoints.
    """
    for part in model.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
        for name in [name for name, rate in vars(part).items() if "drop" in name and isinstance(rate, float)]:
            setattr(part, name, 0.0)  # of attention, of activations, of whole layers: as families call it
    model.config.use_cache = False
    if config.method.name == "lora":
        with changing_nothing(model, repr(config.method)):  # adapters begin at zero, whatever the seed
            model = adapt(model, config.method, config.seed)
    else:
        read = reads_text(model)
        for name, weight in model.named_parameters():
            weight.requires_grad_(name in read)
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
    for parameter, weight in zip(trained, of_trained(weights, model), strict=True):
        parameter.copy_(weight)
        parameter.grad = None


def of_trained(weights: Sequence[Tensor], model: Any) -> Sequence[Tensor]:
    """Return the masters of what is trained, of a checkpoint's: earlier versions kept those that read pictures too."""
    every = list(model.parameters())
    if len(weights) != len(every):
        return weights
    return [weight for parameter, weight in zip(every, weights, strict=True) if parameter.requires_grad]


def state_of_trained(state: dict[str, Any], model: Any) -> dict[str, Any]:
    """Return a fit's state with the masters and optimiser states of what is trained alone (`of_trained`)."""
    masters = of_trained(state["masters"], model)
    if len(masters) == len(state["masters"]):
        return state
    places = [place for place, parameter in enumerate(model.parameters()) if parameter.requires_grad]
    kept = state["optimizer"]["state"]
    optimizer = {
        "state": {own: kept[place] for own, place in enumerate(places) if place in kept},
        "param_groups": [
            {**group, "params": list(range(len(places)))} for group in state["optimizer"]["param_groups"]
        ],
    }
    return {**state, "masters": list(masters), "optimizer": optimizer}
