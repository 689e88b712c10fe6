"""Models wrapped by peft: the model inside, and the plain model that their adapters make of it."""

from __future__ import annotations

from collections import Counter
from typing import Any

from torch import nn
from transformers import PreTrainedModel


def bare(model: Any) -> Any:
    """Return the model inside a peft wrapper; its adapters sit in the layers and act as before."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def is_linear(part: nn.Module) -> bool:
    """Whether a part of a model is a layer that LoRA stands beside."""
    return isinstance(part, nn.Linear) or type(part).__name__ == "Conv1D"


def attention_layers(model: nn.Module) -> list[str]:
    """Name the linear layers within attention: by their last names, in full where others have the same."""
    linear = [name for name, part in model.named_modules() if is_linear(part)]
    inside = [name for name in linear if in_attention(name)]
    names = {name.rpartition(".")[2] for name in inside}
    others = {name.rpartition(".")[2] for name in linear if not in_attention(name)}
    return inside if names & others else sorted(names)


def in_attention(name: str) -> bool:
    """Whether a layer lies within attention, by what families call it: self_attn, SelfAttention, attn, attention."""
    return any(word in name.rpartition(".")[0].lower() for word in ("attn", "attention"))


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
