from __future__ import annotations

from typing import Any

import pytest
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from instruct_ablate.model.layer_kinds import unknown_kind


@pytest.mark.parametrize(
    "name", ["llama", "mistral", "gemma2", "gemma3_text", "olmo3", "qwen3", "smollm3", "phi3"]
)
def test_all_earlier_tokens_and_sliding_windows_are_known(name: str) -> None:
    config = CONFIG_MAPPING[name]()
    assert unknown_kind(config) is None


@pytest.mark.parametrize(
    ("name", "settings", "unknown"),
    [
        ("llama4_text", {}, "layer_types=chunked_attention"),
        ("qwen3_next", {}, "layer_types=linear_attention"),
        ("gpt_neo", {}, "window_size=256"),
        ("llama", {"attention_window": 64}, "attention_window=64"),
    ],
)
def test_what_else_limits_whom_tokens_see_is_named(name: str, settings: dict[str, Any], unknown: str) -> None:
    assert unknown_kind(CONFIG_MAPPING[name](**settings)) == unknown
