"""Every family against transformers' own forward pass: losses, gradients, greedy answers, rankings of labels."""

from __future__ import annotations

import pytest
from benchmarks.families import measure

from instruct_ablate.model.loading.tiny_families import FAMILIES

# By transformers' own path, with a note; all others are packed, and decoded here.
UNPACKED = {"tiny_bart"}
# Those whose layers others have too.
LATER = {
    "tiny_llama", "tiny_qwen2", "tiny_olmo2", "tiny_mistral", "tiny_gpt_neox", "tiny_t5", "tiny_t5_v1_0",
    "tiny_t5_v1_1", "tiny_mt5",
}  # fmt: skip
NAMES = [pytest.param(name, marks=[pytest.mark.slow] * (name in LATER)) for name in sorted(FAMILIES)]


@pytest.mark.parametrize("name", NAMES)
def test_a_family_is_as_transformers_has_it(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    row = measure(name, tmp_path_factory.getbasetemp() / "cache")
    assert (row.trained, row.decoded) == (
        ("padded", "transformers") if name in UNPACKED else ("packed", "native")
    )
    assert row.loss < 1e-5
    assert row.gradient < 1e-5
    assert (row.answers, row.rankings) == (0, 0)
    assert row.label_score < 1e-3
