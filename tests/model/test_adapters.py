"""Adapters: what they make of a model computes the same, in memory and on disk, whatever its weights are tied to."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

from instruct_ablate.model.adapters import bare, merged
from instruct_ablate.model.export import write_checkpoint
from instruct_ablate.model.loading.checkpoint import Checkpoint
from instruct_ablate.model.training.lora import adapt
from instruct_ablate.schema import MethodConfig
from tests.model.fits import NAMES, load, make_config

# Model, whether head and embeddings are tied, and for T5 whether the decoder's output is scaled (version 1.0).
MODELS = [
    ("tiny_llama", True, False),
    ("tiny_llama", False, False),
    ("tiny_t5", True, True),
    ("tiny_t5", True, False),
    ("tiny_t5", False, True),
]
TARGETS = [["lm_head"], ["embed_tokens"], ["lm_head", "embed_tokens"], ["q_proj", "q"], []]


def tuned(name: str, tied: bool, scaled: bool, targets: list[str], cache: Path) -> Checkpoint:
    """A checkpoint under adapters whose matrices are far from nought."""
    checkpoint = load(make_config(cache, name))
    settings = copy.deepcopy(checkpoint.model.config)
    settings.tie_word_embeddings = tied
    if name == "tiny_t5":
        settings.scale_decoder_outputs = scaled
    torch.manual_seed(0)
    model = adapt(type(checkpoint.model)(settings), MethodConfig("lora", 2, 4, target_modules=targets), 0)
    for key, weight in model.named_parameters():
        if "lora_" in key:
            torch.nn.init.normal_(weight, std=0.3)
    return Checkpoint(model.eval(), checkpoint.tokenizer, checkpoint.encoder_decoder, name)


@torch.no_grad()
def logits(model: Any, encoder_decoder: bool) -> Tensor:
    inputs = {"input_ids": torch.arange(3, 9)[None]}
    if encoder_decoder:
        inputs["decoder_input_ids"] = torch.tensor([[0, 5, 7]])
    result: Tensor = model.eval()(**inputs).logits
    return result


@pytest.mark.parametrize("targets", TARGETS, ids="+".join)
@pytest.mark.parametrize(("name", "tied", "scaled"), MODELS)
def test_what_is_merged_and_what_is_written_is_what_was_trained(
    name: str,
    tied: bool,
    scaled: bool,
    targets: list[str],
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    checkpoint = tuned(name, tied, scaled, targets, tmp_path_factory.getbasetemp() / "cache")
    trained = logits(checkpoint.model, checkpoint.encoder_decoder)
    write_checkpoint(checkpoint, tmp_path)
    assert torch.equal(logits(checkpoint.model, checkpoint.encoder_decoder), trained), (
        "writing changed the model"
    )
    kind = AutoModelForSeq2SeqLM if checkpoint.encoder_decoder else AutoModelForCausalLM
    read = logits(kind.from_pretrained(tmp_path), checkpoint.encoder_decoder)
    plain = merged(checkpoint.model)
    bound = 1e-5 * float(trained.abs().max())
    torch.testing.assert_close(logits(plain, checkpoint.encoder_decoder), trained, rtol=1e-4, atol=bound)
    torch.testing.assert_close(read, trained, rtol=1e-4, atol=bound)


@pytest.mark.parametrize(
    ("targets", "still_tied"), [(["lm_head"], False), (["embed_tokens"], False), (["q_proj"], True)]
)
def test_the_configuration_says_whether_head_and_embeddings_are_one(
    targets: list[str], still_tied: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    plain = merged(tuned("tiny_llama", True, False, targets, tmp_path_factory.getbasetemp() / "cache").model)
    head, embeddings = plain.get_output_embeddings().weight, plain.get_input_embeddings().weight
    assert (head is embeddings) == still_tied
    assert plain.config.tie_word_embeddings == still_tied


def test_a_model_without_adapters_is_itself(tmp_path_factory: pytest.TempPathFactory) -> None:
    checkpoint = tuned("tiny_llama", True, False, [], tmp_path_factory.getbasetemp() / "cache")
    inside = bare(checkpoint.model)
    assert inside is checkpoint.model.get_base_model()
    assert bare(inside) is inside


@pytest.mark.parametrize("more", [{}, {"dora": True, "rslora": True}], ids=["lora", "dora"])
@pytest.mark.parametrize("name", NAMES)
def test_merging_gives_a_plain_model_that_answers_the_same(
    name: str, more: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    cache = tmp_path_factory.getbasetemp() / "cache"
    model = load(make_config(cache, name)).model
    adapted = adapt(model, MethodConfig("lora", rank=2, **more), seed=0)
    for key, weight in adapted.named_parameters():
        if "lora_B" in key:
            torch.nn.init.normal_(weight, std=0.1)
        if "magnitude" in key:
            weight.data *= 1.3
    inputs = {"input_ids": torch.arange(3, 9)[None]}
    if name == "tiny_t5":
        inputs["decoder_input_ids"] = torch.tensor([[0, 5]])
    with torch.no_grad():
        wanted = adapted.eval()(**inputs).logits
        plain = merged(adapted)
        given = plain(**inputs).logits
    assert type(plain) is type(load(make_config(cache, name)).model)
    assert not any("lora" in key for key, _ in plain.named_parameters())
    assert all(weight.requires_grad for weight in plain.parameters())
    torch.testing.assert_close(given, wanted, rtol=1e-3, atol=1e-3)
