"""A model as it is trained: all weights or an adapter's alone, and trained ones put back in their order."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from instruct_ablate.model.training.trainable import make_trainable, set_weights
from instruct_ablate.schema import Config, MethodConfig
from tests.model.fits import load, make_config


@pytest.mark.parametrize("method", ["full", "lora"])
def test_weights_go_where_they_came_from(tmp_path: Path, method: str) -> None:
    model = make_trainable(load(make_config(tmp_path)).model, Config(method=MethodConfig(method)))
    trained = [p for p in model.parameters() if p.requires_grad]
    assert model.training
    assert all(
        ("lora" in name) == weight.requires_grad or method == "full"
        for name, weight in model.named_parameters()
    )
    set_weights(model, [torch.full_like(p, n) for n, p in enumerate(trained)])
    assert [float(p.detach().flatten()[0]) for p in trained] == list(range(len(trained)))
    with pytest.raises(ValueError, match="zip"):
        set_weights(model, [torch.zeros(1)])
