"""Sizes counted without weights are those of the models themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from instruct_ablate.model.loading.checkpoint import load_checkpoint
from instruct_ablate.model.loading.parameter_count import trainable_parameters
from instruct_ablate.model.loading.random_model import tiny_model
from instruct_ablate.model.training.lora import adapt
from instruct_ablate.schema import MethodConfig, ModelConfig

FULL = MethodConfig("full")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def counted(model: torch.nn.Module) -> int:
    return sum(weight.numel() for weight in model.parameters() if weight.requires_grad)


def head(model: torch.nn.Module) -> int:
    """Weights of an output layer of its own, which the bare model does not have."""
    output, read = model.get_output_embeddings().weight, model.get_input_embeddings().weight
    return 0 if output is read else output.numel()


@pytest.mark.parametrize("name", ["tiny_llama", "tiny_t5"])
def test_full_training_counts_every_weight(name: str, cache: Path) -> None:
    config = ModelConfig(name, source="random")
    model = load_checkpoint(config, torch.float32, cache).model
    assert trainable_parameters(config, FULL, cache) == counted(model) - head(model)


@pytest.mark.parametrize("name", ["tiny_llama", "tiny_t5"])
@pytest.mark.parametrize("rank", [2, 16])
def test_lora_counts_its_pairs_of_matrices(name: str, rank: int, cache: Path) -> None:
    config, method = ModelConfig(name, source="random"), MethodConfig("lora", rank=rank)
    adapted = adapt(load_checkpoint(config, torch.float32, cache).model, method, seed=0)
    assert trainable_parameters(config, method, cache) == counted(adapted)


@pytest.mark.parametrize("name", ["tiny_llama", "tiny_t5", "tiny_t5gemma2"])
@pytest.mark.parametrize(
    "more",
    [
        {"dora": True},
        {"target": "attention"},
        {"target": "attention", "dora": True},
        {"layers": "top:1"},
        {"layers": "top:2", "dora": True},
        {"layers": "top:1", "target": "attention"},
    ],
)
def test_what_else_adapters_train_is_counted(name: str, more: dict[str, Any], cache: Path) -> None:
    config, method = ModelConfig(name, source="random"), MethodConfig("lora", rank=2, **more)
    adapted = adapt(load_checkpoint(config, torch.float32, cache).model, method, seed=0)
    assert trainable_parameters(config, method, cache) == counted(adapted)


def test_no_adapter_stands_where_only_pictures_pass(cache: Path) -> None:
    config, method = ModelConfig("tiny_t5gemma2", source="random"), MethodConfig("lora", rank=2)
    adapted = adapt(load_checkpoint(config, torch.float32, cache).model, method, seed=0)
    trained = [name for name, weight in adapted.named_parameters() if weight.requires_grad]
    assert not [name for name in trained if "vision" in name]
    assert [name for name in trained if "encoder.text_model.layers.2.mlp" in name]
    assert trainable_parameters(config, method, cache) == counted(adapted)


def test_layers_that_keep_inputs_first_are_counted(tmp_path: Path) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    model = GPT2LMHeadModel(GPT2Config(vocab_size=20, n_positions=8, n_embd=8, n_layer=1, n_head=2))
    model.config.save_pretrained(tmp_path)
    method = MethodConfig("lora", rank=3, dora=True)
    config = ModelConfig("mine", path=str(tmp_path))
    assert trainable_parameters(config, method, tmp_path) == counted(adapt(model, method, seed=0))


def test_lora_on_some_layers_alone(cache: Path) -> None:
    config = ModelConfig("tiny_llama", source="random")
    some = MethodConfig("lora", target_modules=["q_proj", "v_proj"])
    adapted = adapt(load_checkpoint(config, torch.float32, cache).model, some, seed=0)
    assert trainable_parameters(config, some, cache) == counted(adapted)
    every = trainable_parameters(config, MethodConfig("lora"), cache)
    assert every is not None
    assert every > counted(adapted)


def test_a_folder_of_ones_own_needs_no_weights(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((tiny_model("tiny_llama", cache) / "config.json").read_bytes())
    mine = ModelConfig("mine", path=str(tmp_path))
    built_in = ModelConfig("tiny_llama", source="random")
    assert trainable_parameters(mine, FULL, cache) == trainable_parameters(built_in, FULL, cache)


def test_what_cannot_be_read_is_of_unknown_size(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert trainable_parameters(ModelConfig("smollm2_135m", source="wheel"), FULL, tmp_path) is None
    assert trainable_parameters(ModelConfig("mine", path=str(tmp_path)), FULL, cache) is None
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "unheard_of"}))
    assert trainable_parameters(ModelConfig("mine", path=str(tmp_path)), FULL, cache) is None


def test_a_count_is_noted_and_belongs_to_its_configuration(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    told = (tiny_model("tiny_llama", cache) / "config.json").read_text()
    (folder / "config.json").write_text(told)
    config = ModelConfig("own", source="pretrained", path=str(folder))
    first = trainable_parameters(config, FULL, tmp_path)
    lora = trainable_parameters(config, MethodConfig("lora"), tmp_path)
    monkeypatch.setattr("instruct_ablate.model.loading.parameter_count.empty_model", lambda *_: None)
    assert first != lora
    assert trainable_parameters(config, FULL, tmp_path) == first
    assert trainable_parameters(config, MethodConfig("lora"), tmp_path) == lora
    assert trainable_parameters(config, MethodConfig("lora", rank=3), tmp_path) is None
    (folder / "config.json").write_text(told.replace("{", '{"vocab_size": 999,', 1))
    assert trainable_parameters(config, FULL, tmp_path) is None
