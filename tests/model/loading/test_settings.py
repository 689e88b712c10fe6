from __future__ import annotations

import pytest

from instruct_ablate.errors import UserError
from instruct_ablate.model.loading.settings import check_model
from instruct_ablate.schema import ModelConfig


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (ModelConfig("m", source="wheal"), "did you mean 'wheel'"),
        (ModelConfig("m", kind="decoder"), "did you mean 'decoder-only'"),
        (ModelConfig("m", kind="x"), "decoder-only, encoder-decoder, or null to find it out"),
        (ModelConfig("m", tries=0), r"^model\.tries=0 must be at least 1$"),
        (ModelConfig("m", tries=1_000_001), "and at most 1000000$"),
        (
            ModelConfig("m", path="a/b", tries=2),
            r"^model\.tries=2 is of model=uniform_guess.* model=m answers once",
        ),
        (ModelConfig("tiny_t5", source="random", tries=2), "model=tiny_t5 answers once"),
        (ModelConfig("m", path="", source="pretrained"), "is empty"),
        (ModelConfig("m", revision=201 * "x"), "at most 200"),
        (ModelConfig("uniform_guess", path="x", source="baseline"), r"model\.path='x' would be ignored"),
        (
            ModelConfig("tiny_t5", revision="main", source="random"),
            r"model\.revision='main' would be ignored",
        ),
        (ModelConfig("smollm2", path="x", source="wheel"), "model=smollm2 is not loaded from there"),
    ],
)
def test_values_that_no_model_has(config: ModelConfig, said: str) -> None:
    with pytest.raises(UserError, match=said):
        check_model(config)


@pytest.mark.parametrize(
    "config",
    [
        ModelConfig("m", path="some/folder", revision=200 * "x"),
        ModelConfig("m", path="a/b", tries=1, kind="encoder-decoder"),
        ModelConfig("uniform_guess", source="baseline", tries=1_000_000),
        ModelConfig("m", path="a/b", kind="decoder-only", tuned=None, end_of_source=False),
        *(ModelConfig("m", source=source) for source in ("wheel", "random", "baseline", "pretrained")),
    ],
)
def test_values_that_just_go(config: ModelConfig) -> None:
    check_model(config)
