"""docs/models.md is made of the table, and what it says of sizes is counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from instruct_ablate.configuration.presets import PRESETS
from instruct_ablate.pages.models_page import models_page, size_of

PAGE = Path(__file__).parents[2] / "docs" / "models.md"


@pytest.mark.slow
def test_the_page_is_current() -> None:
    said = "make it again: instruct-ablate models --markdown > docs/models.md"
    assert PAGE.read_text(encoding="utf-8") == models_page(), said


def test_the_page_lists_each_with_what_it_has_seen() -> None:
    page = PAGE.read_text(encoding="utf-8").splitlines()
    lines = {line.split("`")[1]: line for line in page if line.startswith("| `") and line.count("|") == 12}
    for name, preset in PRESETS.items():
        assert f"`{preset.path}`" in lines[name]
        assert lines[name].endswith(f"| {preset.collections()} |")


@pytest.mark.parametrize(
    ("name", "weights"),
    [  # as their cards have them
        ("gemma3_270m_hub", 268_098_176),
        ("smollm2_135m_base", 134_515_008),
        ("qwen3_0_6b_base", 596_049_920),
        ("olmo2_1b", 1_484_916_736),  # with an output layer of its own
        ("flan_t5_small", 76_961_152),
    ],
)
def test_sizes_are_those_of_the_models(name: str, weights: int) -> None:
    size = size_of(PRESETS[name])
    assert size.weights == weights
    assert size.full == 18 * weights, "bf16, and fp32 masters, gradients and two moments"
    assert size.lora < size.full
