"""Models wrapped by peft: the model inside, and the plain model that their adapters make of it."""

from __future__ import annotations

from collections import Counter
from typing import Any

from torch import nn
from transformers import PreTrainedModel


def bare(model: Any) -> Any:
    """Return the model inside a peft wrapper; its adapters sit in the layers and act as before."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def merged(adapted: Any) -> PreTrainedModel:
    """Fold the adapters into the weights and return the plain model, which computes the same."""
    _untie(adapted)
    model: PreTrainedModel = adapted.merge_and_unload()
    model.requires_grad_(True)
    return model


def _untie(adapted: Any) -> None:
    """Give adapted layers a weight of their own where others share it.

    An adapter on the head alone would otherwise change the embeddings too that the head is tied to, when it is folded
    in; what is saved says that the two are no longer one.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer

    uses = Counter(id(weight) for _, weight in adapted.named_parameters(remove_duplicate=False))
    layers = [part.get_base_layer() for part in adapted.modules() if isinstance(part, BaseTunerLayer)]
    shared = [layer for layer in layers if uses[id(layer.weight)] > 1]
    for layer in shared:
        layer.weight = nn.Parameter(layer.weight.detach().clone())
    if shared:
        bare(adapted).config.tie_word_embeddings = False
