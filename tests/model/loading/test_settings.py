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
        (ModelConfig("m", tries=0), "tries=0"),
        (ModelConfig("m", path="", source="pretrained"), "is empty"),
        (ModelConfig("uniform_guess", path="x", source="baseline"), "would be ignored"),
    ],
)
def test_values_that_no_model_has(config: ModelConfig, said: str) -> None:
    check_model(ModelConfig("m", path="some/folder", revision="main"))
    with pytest.raises(UserError, match=said):
        check_model(config)
