"""How large a model is, counted without loading a weight."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from instruct_ablate.model.loading.location import Kind, base_of, local_folder
from instruct_ablate.model.modes import quiet
from instruct_ablate.schema import MethodConfig, ModelConfig
from instruct_ablate.whole_files import read_plain, read_sealed, write_sealed

if TYPE_CHECKING:
    from transformers import PreTrainedModel


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


def _memory(config: ModelConfig, method: MethodConfig, cache: Path) -> Path | None:
    """Return where the count is noted: by all that it follows from; None where that is not at hand."""
    place = _place(config, cache)
    if place is None:
        return None
    try:
        content = read_plain(Path(place) / "config.json")
    except OSError:
        return None
    trained = (method.rank, sorted(method.target_modules)) if method.name == "lora" else ()
    made = hashlib.sha256(f"{version('transformers')} {trained}\n".encode() + content).hexdigest()
    return cache / "parameter_counts" / f"{made[:32]}.json"


def _counted(model: PreTrainedModel, method: MethodConfig) -> int:
    import torch

    if method.name != "lora":
        return int(sum(weight.numel() for weight in model.parameters()))
    # A pair of matrices beside every adapted layer: rank x (inputs + outputs).
    layers = [
        layer
        for name, layer in model.named_modules()
        if isinstance(layer, torch.nn.Linear) and _adapted(name, method.target_modules)
    ]
    return int(sum(method.rank * (layer.in_features + layer.out_features) for layer in layers))


def _adapted(name: str, targets: list[str]) -> bool:
    return not targets or any(name == target or name.endswith(f".{target}") for target in targets)


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
