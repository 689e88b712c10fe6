"""LoRA, rsLoRA, DoRA through peft: small matrices beside frozen weights (`model/adapters` folds them in)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from instruct_ablate.errors import UserError, in_a_line, unknown
from instruct_ablate.model.adapters import adapted_on_top, attention_layers, is_called, is_linear, of_pictures
from instruct_ablate.model.families import T5_LIKE
from instruct_ablate.model.loading.location import check_checkpoint
from instruct_ablate.model.loading.parameter_count import empty_model
from instruct_ablate.model.modes import quiet
from instruct_ablate.schema import MethodConfig, ModelConfig


def adapt(model: PreTrainedModel, config: MethodConfig, seed: int) -> Any:
    """Return a peft model around `model`, whose own weights are frozen; drawn from `seed`.

    The adapters are fp32 whatever the model is (peft casts them), so they need no masters.
    """
    from peft import LoraConfig, get_peft_model

    if model.config.model_type in T5_LIKE and "shared" in config.target_modules:
        raise UserError(
            "method.target_modules: T5 reads its embeddings through embed_tokens; an adapter on shared would never "
            "be used. Name embed_tokens."
        )
    targets: Any = adapted_on_top(model, config)
    if targets is None:
        targets = list(config.target_modules) or _layers_of(model, config.target)
    task = "SEQ_2_SEQ_LM" if model.config.is_encoder_decoder else "CAUSAL_LM"
    lora = LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=targets,
        exclude_modules=_pictures(model),
        task_type=task,
        use_rslora=config.rslora,
        use_dora=config.dora,
    )
    # The draw is the seed's alone, and moves no generator that later steps draw from.
    with torch.random.fork_rng(), quiet():
        torch.manual_seed(seed)
        try:
            return get_peft_model(model, lora)
        except ValueError as error:
            raise UserError(
                f"method.target_modules={list(config.target_modules)}: {in_a_line(error)}"
            ) from error


def check_layers(config: ModelConfig, method: MethodConfig, cache: Path) -> None:
    """Refuse layers to adapt that the model does not have, or that cannot be adapted: tried without its weights."""
    model = empty_model(config, cache, check_checkpoint(config))
    if model is None:
        return
    # Peft refuses a name only where it finds no layer for any: one of several that is misspelt would pass.
    names = [name for name, _ in model.named_modules()]
    missing = [t for t in method.target_modules if not any(is_called(name, t) for name in names)]
    if missing:
        leaves = sorted({name.rpartition(".")[2] for name, part in model.named_modules() if is_linear(part)})
        raise unknown("layer in method.target_modules:", missing[0], leaves)
    adapt(model, method, 0)


def _pictures(model: PreTrainedModel) -> str | None:
    """Return a pattern of the layers that no text passes through: adapters there would never learn."""
    parts = of_pictures(model)
    return rf"({'|'.join(map(re.escape, parts))})\..*" if parts else None


def _layers_of(model: PreTrainedModel, target: str) -> list[str] | str:
    """Return the layers that `method.target` stands for, as peft takes them."""
    if target == "all_linear":
        return "all-linear"
    if not (names := attention_layers(model)):
        raise UserError(
            f"method.target={target}: no linear layer of {type(model).__name__} is known to be attention's. "
            "Name the layers: method.target_modules=[...]."
        )
    return names
