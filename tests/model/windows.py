"""Tiny random models whose layers see through windows, some of them with capped scores and logits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from instruct_ablate.model.loading.checkpoint import Checkpoint
from tests.model.decoding_cases import make_checkpoint

WINDOW = 8
BOTH = ["sliding_attention", "full_attention"]
# By name: the family's `model_type` and what its configuration says beside the sizes.
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "gemma3": ("gemma3_text", {"layer_types": BOTH, "final_logit_softcapping": 1.5}),
    "gemma2": (
        "gemma2",
        {"layer_types": BOTH, "attn_logit_softcapping": 0.7, "final_logit_softcapping": 2.0},
    ),
    "mistral": ("mistral", {}),
    "olmo3": ("olmo3", {"layer_types": BOTH}),
    "qwen2": ("qwen2", {"layer_types": BOTH, "use_sliding_window": True}),
    "qwen3": ("qwen3", {"layer_types": BOTH, "use_sliding_window": True}),
    "granite": ("granite", {"logits_scaling": 3.0, "sliding_window": None}),
    "cohere2": ("cohere2", {"layer_types": BOTH, "logit_scale": 0.25}),
}


def make_model(kind: str, vocabulary: int = 64, **changes: Any) -> Any:
    """A model of two layers with grouped heads and weights so large that attention is anything but even."""
    name, settings = KINDS[kind]
    sizes: dict[str, Any] = {
        "vocab_size": vocabulary,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "sliding_window": WINDOW,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    torch.manual_seed(0)
    model: Any = AutoModelForCausalLM.from_config(CONFIG_MAPPING[name](**{**sizes, **settings, **changes}))
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


def make_windowed(kind: str, cache: Path) -> Checkpoint:
    """Such a model with the tokenizer of a built-in one; every eighth token ends an answer."""
    other = make_checkpoint("tiny_llama", cache)
    model = make_model(kind, len(other.tokenizer))
    model.generation_config.eos_token_id = list(range(2, len(other.tokenizer), 8))
    return replace(other, model=model, name=kind)
