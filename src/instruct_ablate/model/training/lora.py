"""LoRA through peft: small trainable matrices beside frozen weights, merged into them after training."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from transformers import PreTrainedModel

from instruct_ablate.errors import UserError
from instruct_ablate.schema import MethodConfig


def adapt(model: PreTrainedModel, config: MethodConfig, seed: int) -> Any:
    """Return a peft model around `model`, whose own weights are frozen; drawn from `seed`.

    The adapters are fp32 whatever the model is (peft casts them), so they need no masters.
    """
    from peft import LoraConfig, get_peft_model

    targets: Any = list(config.target_modules) or "all-linear"
    task = "SEQ_2_SEQ_LM" if model.config.is_encoder_decoder else "CAUSAL_LM"
    lora = LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=targets,
        task_type=task,
    )
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers by an old name
        torch.manual_seed(seed)
        try:
            return get_peft_model(model, lora)
        except ValueError as error:
            raise UserError(f"method.target_modules={list(config.target_modules)}: {error}") from error


def merged(adapted: Any) -> PreTrainedModel:
    """Fold the adapters into the weights and return the plain model."""
    model: PreTrainedModel = adapted.merge_and_unload()
    model.requires_grad_(True)
    return model
