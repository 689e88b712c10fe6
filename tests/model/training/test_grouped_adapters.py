"""LoRA, rsLoRA and DoRA over prompts that begin alike, against each example alone by transformers and peft."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from instruct_ablate.model.training.loss import packed_attention_of, token_losses
from instruct_ablate.model.training.trainable import make_trainable
from instruct_ablate.schema import DataConfig, MethodConfig
from tests.model.fits import first_batch, gradients, load, make_config, make_store, plain_losses

KINDS: dict[str, dict[str, Any]] = {
    "lora": {},
    "rslora": {"rslora": True},
    "dora": {"dora": True},
    "both": {"rslora": True, "dora": True},
    "on top": {"layers": "top:1", "dora": True},
}


@pytest.fixture
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp() / "cache"


def adapted(name: str, kind: str, cache: Path) -> tuple[Any, Any]:
    """A model with adapters that are no longer as they begin: one of their matrices is zero then."""
    method = MethodConfig("lora", rank=4, alpha=8, **KINDS[kind])
    config = replace(make_config(cache, name, batch_size=14), method=method, data=DataConfig(grouping="task"))
    checkpoint = load(config)
    model = make_trainable(checkpoint.model, config)
    torch.manual_seed(1)
    for weight in model.parameters():
        if weight.requires_grad:
            weight.data += 0.1 * torch.randn_like(weight)
    return replace(checkpoint, model=model), config


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["tiny_llama", "tiny_gemma3"])
def test_losses_and_gradients_in_groups_are_those_of_each_example_alone(
    name: str, kind: str, cache: Path
) -> None:
    checkpoint, config = adapted(name, kind, cache)
    model, batch, store = checkpoint.model, first_batch(checkpoint, config), make_store(checkpoint, config)
    assert any(part.decoder.grouped for part in batch.micro_batches)
    given = {}
    for part in batch.micro_batches:
        with packed_attention_of(model):
            losses = token_losses(model, part)
            losses.sum().backward()
        for place, example in enumerate(part.examples.tolist()):
            given[example] = losses[part.owners == place].detach()
    found = gradients(model)
    for example, losses in given.items():
        alone = plain_losses(checkpoint, store, example)
        alone.sum().backward()
        torch.testing.assert_close(losses, alone.detach(), rtol=1e-5, atol=1e-5)
    wanted = gradients(model)
    assert found.keys() == wanted.keys()
    assert all(("lora_" in weight) for weight in wanted)
    assert any("magnitude" in weight for weight in wanted) == KINDS[kind].get("dora", False)
    for weight, gradient in wanted.items():
        assert float(gradient.abs().max()) > 0, weight
        assert (found[weight] - gradient).abs().max() <= 2e-5 * gradient.abs().max(), weight


def test_each_kind_is_another_model(cache: Path) -> None:
    """Whether the adapters' kind reaches the losses at all: the same draws, other losses."""
    sums = []
    for kind in ("lora", "rslora", "dora", "both"):
        checkpoint, config = adapted("tiny_llama", kind, cache)
        with torch.no_grad():
            sums.append(float(plain_losses(checkpoint, make_store(checkpoint, config), 0).sum()))
    assert len({round(one, 3) for one in sums}) == 4
