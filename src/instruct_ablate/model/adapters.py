"""Models wrapped by peft: the model inside, and the plain model that their adapters make of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any

from torch import nn
from transformers import PreTrainedModel

from instruct_ablate.configuration.top_layers import top_count
from instruct_ablate.errors import UserError, unknown
from instruct_ablate.model.loading.last_loaded import SHELF
from instruct_ablate.plural import counted
from instruct_ablate.schema import MethodConfig


def bare(model: Any) -> Any:
    """Return the model inside a peft wrapper; its adapters sit in the layers and act as before."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def is_linear(part: nn.Module) -> bool:
    """Whether a part of a model is a layer that LoRA stands beside."""
    return isinstance(part, nn.Linear) or type(part).__name__ == "Conv1D"


def of_pictures(model: nn.Module) -> list[str]:
    """Name the parts of a model that read pictures, and the projectors behind them: text does not pass through them.

    Neither full tuning nor adapters train them, and `plan` counts them as weights that are held alone.
    """
    towers = [
        name
        for name, part in model.named_modules()
        if name and isinstance(part, PreTrainedModel) and part.main_input_name == "pixel_values"
    ]
    beside = {name.rpartition(".")[0] for name in towers}
    projectors = [
        name
        for name, _ in model.named_modules()
        if name and name.rpartition(".")[0] in beside and "projector" in name.rpartition(".")[2]
    ]
    return [*towers, *projectors]


def reads_text(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return the weights of a model by name, without those of the parts that read pictures."""
    pictures = of_pictures(model)
    return {name: weight for name, weight in model.named_parameters() if not lies_within(name, pictures)}


def lies_within(name: str, parts: Collection[str]) -> bool:
    """Whether a layer of this name is inside one of the parts of a model."""
    return any(name.startswith(f"{part}.") for part in parts)


def attention_layers(model: nn.Module) -> list[str]:
    """Name the linear layers within attention: by their last names, in full where others have the same."""
    pictures = of_pictures(model)
    linear = [
        name for name, part in model.named_modules() if is_linear(part) and not lies_within(name, pictures)
    ]
    inside = [name for name in linear if in_attention(name)]
    names = {name.rpartition(".")[2] for name in inside}
    others = {name.rpartition(".")[2] for name in linear if not in_attention(name)}
    return inside if names & others else sorted(names)


def in_attention(name: str) -> bool:
    """Whether a layer lies within attention, by what families call it: self_attn, SelfAttention, attn, attention."""
    return any(word in name.rpartition(".")[0].lower() for word in ("attn", "attention"))


def is_adapted(name: str, method: MethodConfig) -> bool:
    """Whether a linear layer of this name gets an adapter, wherever it lies: as `target` or `target_modules` say."""
    if not method.target_modules:
        return method.target == "all_linear" or in_attention(name)
    return any(is_called(name, target) for target in method.target_modules)


def is_called(name: str, target: str) -> bool:
    """Whether a part of a model is called so: in full, or by the last of its names."""
    return name == target or name.endswith(f".{target}")


def decoder_layers(model: Any) -> dict[str, nn.Module]:
    """Return the layers of a model's decoder by their names, from below.

    Raises `UserError` where a decoder does not keep its layers in one list.
    """
    lists = [part for part in model.get_decoder().children() if isinstance(part, nn.ModuleList)]
    if len(lists) != 1:
        raise UserError(
            f"method.layers: which layers of {type(model).__name__} follow each other is not known here. "
            "Leave it at all."
        )
    names = {part: name for name, part in model.named_modules()}
    return {names[layer]: layer for layer in lists[0]}


def top_layers(model: Any, layers: str) -> list[str] | None:
    """Name the decoder's layers that `method.layers` chooses; None: all parts of the model."""
    count = top_count(layers)
    if count is None:
        return None
    names = list(decoder_layers(model))
    if count > len(names):
        raise UserError(
            f"method.layers={layers}: the decoder of this model has {counted(len(names), 'layer')}. Give top:1 to "
            f"top:{len(names)}, or all."
        )
    return names[-count:]


def adapted_on_top(model: Any, method: MethodConfig) -> list[str] | None:
    """Name in full the linear layers that `method.layers=top:N` adapts; None where adapters may stand anywhere.

    Raises `UserError` for a name of `method.target_modules` that is none of these layers'.
    """
    chosen = top_layers(model, method.layers)
    if chosen is None:
        return None
    linear = [name for name, part in model.named_modules() if is_linear(part) and lies_within(name, chosen)]
    for target in method.target_modules:
        if not any(is_called(name, target) for name in linear):
            there = sorted({name.rpartition(".")[2] for name in linear})
            raise unknown(
                f"layer within method.layers={method.layers} in method.target_modules:", target, there
            )
    return [name for name in linear if is_adapted(name, method)]


def merged(adapted: Any) -> PreTrainedModel:
    """Fold the adapters into the weights and return the plain model, which computes the same."""
    _untie(adapted)
    _own(adapted)
    model: PreTrainedModel = adapted.merge_and_unload()
    for weight in model.parameters():
        if not SHELF.lends(weight):  # what other cells read stays frozen, as they have it
            weight.requires_grad_(True)
    return model


def _own(adapted: Any) -> None:
    """Give adapted layers a weight of their own where other cells read it too: it will be written to."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for layer in [part.get_base_layer() for part in adapted.modules() if isinstance(part, BaseTunerLayer)]:
        if SHELF.lends(layer.weight):
            layer.weight = nn.Parameter(layer.weight.detach().clone(), requires_grad=False)


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
