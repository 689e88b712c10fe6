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
from instruct_ablate.whole_files import read_plain, read_sealed, write_sealed

if TYPE_CHECKING:
    from transformers import PreTrainedModel

COUNTED = 4  # the way of counting; raise it when the same weights or adapters would be counted otherwise


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
    return _noted(config, method, cache)


def parameters(config: ModelConfig, cache: Path) -> int | None:
    """Count all weights of a checkpoint, those that read pictures too; None, and noted, as `trainable_parameters`."""
    return _noted(config, None, cache)


def _noted(config: ModelConfig, method: MethodConfig | None, cache: Path) -> int | None:
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
    """Count the weights of a model that is known by its shape alone: all of them, then what each method trains."""
    import torch
    from transformers import AutoConfig, AutoModel

    with quiet(), torch.device("meta"):
        model: Any = AutoModel.from_config(AutoConfig.for_model(preset.family, **preset.shape))
    head = 0 if preset.tied else model.get_input_embeddings().weight.numel()  # which the bare model lacks
    counts = [(method, _counted(model, method)) for method in (None, *methods)]
    return [count + (0 if method is not None and method.name == "lora" else head) for method, count in counts]


def _memory(config: ModelConfig, method: MethodConfig | None, cache: Path) -> Path | None:
    """Return where the count is noted: by all that it follows from; None where that is not at hand."""
    place = _place(config, cache)
    if place is None:
        return None
    try:
        content = read_plain(Path(place) / "config.json")
    except OSError:
        return None
    trained = (COUNTED, *_what(method))
    made = hashlib.sha256(f"{version('transformers')} {trained}\n".encode() + content).hexdigest()
    return cache / "parameter_counts" / f"{made[:32]}.json"


def _what(method: MethodConfig | None) -> tuple[Any, ...]:
    """Return what the count of a method's weights follows from, beside the model."""
    if method is None:
        return ("all",)
    if method.name != "lora":
        return ("full",)
    return method.rank, sorted(method.target_modules), method.target, method.dora, method.layers


def _counted(model: PreTrainedModel, method: MethodConfig | None) -> int:
    from instruct_ablate.model.adapters import (
        adapted_on_top,
        is_adapted,
        is_linear,
        lies_within,
        of_pictures,
        reads_text,
    )

    if method is None:
        return int(sum(weight.numel() for weight in model.parameters()))
    if method.name != "lora":
        return int(sum(weight.numel() for weight in reads_text(model).values()))
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
