"""Optimisers and learning-rate schedules by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from instruct_ablate.model.training.settings import check_optimisation
from instruct_ablate.schema import TrainerConfig


def build_optimizer(weights: Sequence[nn.Parameter], config: TrainerConfig) -> torch.optim.Optimizer:
    """Return AdamW (fused), or Adafactor with a fixed learning rate as T5's fine-tuning has it."""
    check_optimisation(config)
    if config.optimizer == "adamw":
        return torch.optim.AdamW(
            weights, lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
        )
    from transformers.optimization import Adafactor

    optimizer: torch.optim.Optimizer = Adafactor(
        weights,
        lr=config.learning_rate,
        weight_decay=config.weight_decay,
        # Else it would choose rates of its own, and scale them by the weights.
        relative_step=False,
        scale_parameter=False,
        warmup_init=False,
    )
    return optimizer


def build_schedule(optimizer: torch.optim.Optimizer, config: TrainerConfig, steps: int) -> LambdaLR:
    """Return the schedule over `steps` optimiser steps: warm-up, then constant or linear to zero."""
    warmup = config.warmup_steps

    def factor(step: int) -> float:
        if step < warmup:
            # So no step has a rate of 0, and the first one after the warm-up has the full rate.
            return (step + 1) / (warmup + 1)
        if config.schedule == "constant":
            return 1.0
        # Asked once more behind the last step, and a fit may be warm-up alone: hence both bounds.
        return max(0.0, (steps - step) / max(1, steps - warmup))

    return LambdaLR(optimizer, factor)


def learning_rate(optimizer: torch.optim.Optimizer) -> float:
    """Return the learning rate of the next step."""
    group: dict[str, Any] = optimizer.param_groups[0]
    return float(group["lr"])
