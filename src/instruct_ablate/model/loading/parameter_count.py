"""How large a model is, counted without loading a weight."""

from __future__ import annotations

from pathlib import Path

from instruct_ablate.model.loading.location import local_folder
from instruct_ablate.model.modes import quiet
from instruct_ablate.schema import MethodConfig, ModelConfig


def trainable_parameters(config: ModelConfig, method: MethodConfig, cache: Path) -> int | None:
    """Count the weights that `method` trains; None where the checkpoint's config.json cannot be read here."""
    import torch
    from transformers import AutoConfig, AutoModel

    place = _place(config, cache)
    if place is None:
        return None
    try:
        with quiet(), torch.device("meta"):
            model = AutoModel.from_config(AutoConfig.from_pretrained(place))
    except (OSError, ValueError):
        return None
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
        return str(local_folder(config) or config.path)
    if config.source == "random":
        from instruct_ablate.model.loading.random_model import tiny_model

        return str(tiny_model(config.name, cache))
    folder = cache / "models" / config.name
    return str(folder) if (folder / "config.json").is_file() else None
