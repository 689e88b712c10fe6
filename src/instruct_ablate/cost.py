"""What a cell cost: time, tokens and memory, as its fit and its evaluation measure them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cost:
    """Time, tokens and memory; never mixed with scores. Times in seconds, memory in bytes."""

    train_seconds: float = 0.0
    train_steps: int = 0
    train_examples: int = 0
    train_tokens: int = 0  # real (non-padding) tokens
    evaluate_seconds: float = 0.0
    evaluate_instances: int = 0
    prepare_seconds: float = 0.0
    peak_memory: int = 0  # of the process that tests; one that trains several cells counts for each
    padding_share: float = 0.0  # of the places that went through the model in training
    point_seconds: float = 0.0  # of scores while training; no part of the training's
    gpu_memory: int = 0  # the most that tensors took on one GPU of the process that tests; 0 without a GPU
