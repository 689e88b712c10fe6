"""How a model is trained: packed, padded with a note, or refused; by trying."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from instruct_ablate.errors import UserError
from instruct_ablate.model import trial
from instruct_ablate.model.training.packable import as_trained, trains
from tests.model.fits import changed, load, make_config


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp() / "cache"


@pytest.mark.parametrize("name", ["tiny_qwen3", "tiny_umt5"])
def test_a_model_that_can_is_trained_as_it_was_asked_for(name: str, cache: Path) -> None:
    config = make_config(cache, name)
    assert as_trained(config, load(config).model) == (config, ())


def test_one_that_cannot_is_padded_with_a_note(cache: Path) -> None:
    config = changed(make_config(cache, "tiny_bart"), data={"grouping": "task"})
    model = load(config).model
    followed, notes = as_trained(config, model)
    assert followed == changed(config, data={"packing": False})
    assert len(notes) == 1
    assert "a model of type bart cannot be trained packed" in notes[0]
    assert as_trained(followed, model) == (followed, ())


@pytest.mark.parametrize("name", ["tiny_llama", "tiny_t5", "tiny_umt5"])
@pytest.mark.parametrize("packing", [True, False])
def test_where_rounding_hides_it_a_copy_in_full_precision_is_tried(
    name: str, packing: bool, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "ROUNDED", 0.0)
    model = load(make_config(cache, name)).model.to(torch.bfloat16)
    assert trains(model, packing)
    assert model.dtype == torch.bfloat16
    monkeypatch.setattr(trial, "COPIED", 1)
    another = load(make_config(cache, name)).model.to(torch.bfloat16)
    assert not trains(another, packing), "too large to be copied"


def test_dropout_needs_packed_sequences(cache: Path) -> None:
    config = make_config(cache, "tiny_bart", dropout=0.1)
    with pytest.raises(UserError, match=r"trainer.dropout=0.1 .* type bart"):
        as_trained(config, load(config).model)


def test_a_loss_that_would_be_another_is_refused(cache: Path) -> None:
    config = make_config(cache, "tiny_bart")
    model: Any = load(config).model
    model.final_logits_bias.normal_()  # added behind the output layer
    with pytest.raises(UserError, match="model=tiny_bart: a model of type bart cannot be trained here"):
        as_trained(config, model)


@pytest.mark.parametrize("name", ["tiny_llama", "tiny_t5"])
@pytest.mark.parametrize("packing", [True, False])
def test_a_trial_sees_what_it_must(name: str, packing: bool, cache: Path) -> None:
    """Another attention than the one compared with, in one layer."""
    model = load(make_config(cache, name)).model
    assert trains(model, packing)
    layers, alone = (
        ("block.1", 7) if name == "tiny_t5" else ("layers.1", 16)
    )  # tokens of the longest sequence
    asking = next(
        part
        for part in model.get_decoder().get_submodule(layers).modules()
        if isinstance(part, torch.nn.Linear)
    )
    asking.register_forward_hook(
        lambda layer, given, made: made.roll(1, -1) if made.shape[:2].numel() > alone else made
    )
    assert not trains(copy.deepcopy(model), packing), "the same weights in the same model are not tried again"
