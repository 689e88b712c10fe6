from __future__ import annotations

import pytest
import torch

from instruct_ablate.model.training.layers.output_layer import OutputLayer
from tests.model.windows import make_model


@pytest.mark.parametrize("kind", ["gemma2", "granite", "cohere2", "qwen3"])
def test_logits_are_those_of_the_model(kind: str) -> None:
    model, ids = make_model(kind), torch.tensor([[5, 9, 11]])
    with torch.no_grad():
        states = model.get_decoder()(input_ids=ids).last_hidden_state
        layer = OutputLayer.of(model)
        torch.testing.assert_close(layer.logits(states), model(input_ids=ids).logits)
    plain = layer.factor == 1.0 and layer.cap is None
    assert plain == (kind == "qwen3")
