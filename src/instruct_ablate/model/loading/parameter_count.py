"""How large a model is, counted without loading a weight."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from instruct_ablate.model.families import Kind
from instruct_ablate.model.loading.location import base_of, local_folder
from instruct_ablate.model.modes import quiet
from instruct_ablate.presets import Preset
from instruct_ablate.schema import MethodConfig, ModelConfig
from instruct_ablate.top_layers import ALL
from instruct_ablate.whole_files import read_plain, read_sealed, write_sealed

if TYPE_CHECKING:
    from transformers import PreTrainedModel

COUNTED = 3  # the way of counting adapters; raise it when the same ones would be counted otherwise


def empty_model(config: ModelConfig, cache: Path, head: Kind | None = None) -> PreTrainedModel | None:
    """Return the model without memory for its weights; None where its config.json cannot be read here.

    `head`: with the layer that writes tokens, as this kind of model has it.
    """
    import torch
    from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForSeq2SeqLM

    place = _place(config, cache)
    if place is None:
        return None
    try:
        with quiet(), torch.device("meta"):
            loader = {
                None: AutoModel,
                "decoder-only": AutoModelForCausalLM,
                "encoder-decoder": AutoModelForSeq2SeqLM,
            }
            model: PreTrainedModel = loader[head].from_config(AutoConfig.from_pretrained(place))
    except (OSError, ValueError):
        return None
    return model


def trainable_parameters(config: ModelConfig, method: MethodConfig, cache: Path) -> int | None:
    """Count the weights that `method` trains; None where the checkpoint's config.json cannot be read here.

    What was counted is noted in the cache: a plan of the same model needs no torch.
    """
    memory = _memory(config, method, cache)
    if memory is not None and isinstance(known := read_sealed(memory), int):
        return known
    model = empty_model(config, cache)
    if model is None:
        return None
    count = _counted(model, method)
    if memory is not None:
        write_sealed(memory, count, "cache")
    return count


def preset_weights(preset: Preset, *methods: MethodConfig) -> list[int]:
    """Count the weights that methods train of a model that is known by its shape alone."""
    import torch
    from transformers import AutoConfig, AutoModel

    with quiet(), torch.device("meta"):
        model: Any = AutoModel.from_config(AutoConfig.for_model(preset.family, **preset.shape))
    head = 0 if preset.tied else model.get_input_embeddings().weight.numel()  # which the bare model lacks
    return [_counted(model, method) + (head if method.name == "full" else 0) for method in methods]


def _memory(config: ModelConfig, method: MethodConfig, cache: Path) -> Path | None:
    """Return where the count is noted: by all that it follows from; None where that is not at hand."""
    place = _place(config, cache)
    if place is None:
        return None
    try:
        content = read_plain(Path(place) / "config.json")
    except OSError:
        return None
    lora = (method.rank, sorted(method.target_modules), method.target, method.dora)
    some = () if method.layers == ALL else (method.layers,)
    trained = (*lora, *some, COUNTED) if method.name == "lora" else ()
    made = hashlib.sha256(f"{version('transformers')} {trained}\n".encode() + content).hexdigest()
    return cache / "parameter_counts" / f"{made[:32]}.json"


def _counted(model: PreTrainedModel, method: MethodConfig) -> int:
    from instruct_ablate.model.adapters import adapted_on_top, is_adapted, is_linear, lies_within, of_pictures

    if method.name != "lora":
        return int(sum(weight.numel() for weight in model.parameters()))
    on_top, pictures = adapted_on_top(model, method), of_pictures(model)
    return sum(
        _beside(layer, method)
        for name, layer in model.named_modules()
        if is_linear(layer)
        and not lies_within(name, pictures)
        and (is_adapted(name, method) if on_top is None else name in on_top)
    )


def _beside(layer: Any, method: MethodConfig) -> int:
    """Count a pair of matrices, rank x (inputs + outputs), and with DoRA a length for each output."""
    turned = not hasattr(layer, "out_features")  # GPT-2's Conv1D keeps inputs first
    outputs, inputs = layer.weight.shape[:: -1 if turned else 1]
    return int(method.rank * (inputs + outputs) + (outputs if method.dora else 0))


def _place(config: ModelConfig, cache: Path) -> str | None:
    """Return the folder or hub id that has the configuration; None for a model not prepared yet."""
    if config.source == "pretrained":
        base = base_of(config)
        return str(local_folder(base) or base.path)
    if config.source == "random":
        from instruct_ablate.model.loading.random_model import tiny_model

        return str(tiny_model(config.name, cache))
    folder = cache / "models" / config.name
    return str(folder) if (folder / "config.json").is_file() else None
