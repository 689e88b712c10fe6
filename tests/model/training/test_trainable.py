"""A model as it is trained: all weights or an adapter's alone, and trained ones put back in their order."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from instruct_ablate.model.training.trainable import make_trainable, set_weights
from instruct_ablate.schema import Config, MethodConfig, TrainerConfig
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


def test_the_layers_own_dropout_is_off_and_nothing_is_cached(tmp_path: Path) -> None:
    model = load(make_config(tmp_path, "tiny_t5")).model
    for part in model.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.5
        if isinstance(getattr(part, "dropout", None), float):
            part.dropout = 0.5
    model.config.use_cache = True
    model = make_trainable(model, Config(method=MethodConfig("full")))
    rates = [part.p for part in model.modules() if isinstance(part, torch.nn.Dropout)]
    rates += [part.dropout for part in model.modules() if isinstance(getattr(part, "dropout", None), float)]
    assert rates
    assert set(rates) == {0.0}
    assert model.config.use_cache is False


@pytest.mark.parametrize("name", ["tiny_gemma3", "tiny_bart"])
def test_dropout_by_another_name_is_off_too(tmp_path: Path, name: str) -> None:
    model = load(make_config(tmp_path, name)).model
    rates = [(part, key) for part in model.modules() for key in vars(part) if "drop" in key]
    floats = [(part, key) for part, key in rates if isinstance(getattr(part, key), float)]
    assert {"attention_dropout", "layerdrop", "activation_dropout"} & {key for _, key in floats}
    for part, key in floats:
        setattr(part, key, 0.5)
    make_trainable(model, Config(method=MethodConfig("full")))
    assert {getattr(part, key) for part, key in floats} == {0.0}


@pytest.mark.parametrize("asked", [False, True])
def test_activations_are_computed_anew_where_that_is_asked_for(tmp_path: Path, asked: bool) -> None:
    config = Config(method=MethodConfig("full"), trainer=TrainerConfig(activation_checkpointing=asked))
    model = make_trainable(load(make_config(tmp_path)).model, config)
    assert model.is_gradient_checkpointing is asked
