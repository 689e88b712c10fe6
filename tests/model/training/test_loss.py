from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from instruct_ablate.errors import UserError
from instruct_ablate.model.training import loss as packed_forward
from instruct_ablate.model.training.loss import (
    TokenLosses,
    check_model,
    packed_attention_of,
    target_states,
    token_losses,
)
from tests.model.fits import (
    NAMES,
    changed,
    first_batch,
    gradients,
    load,
    make_config,
    make_store,
    plain_losses,
)


@pytest.fixture
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp() / "cache"


def losses_of(model: Any, batch: Any, packing: bool = True) -> tuple[Tensor, dict[str, Tensor]]:
    with packed_attention_of(model, packing):
        losses = token_losses(model, batch, packing)
        losses.sum().backward()
    return losses.detach(), gradients(model)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("grouping", ["none", "task", "prefix"])
def test_losses_and_gradients_are_those_of_each_example_alone(name: str, grouping: str, cache: Path) -> None:
    config = changed(make_config(cache, name, batch_size=14), data={"grouping": grouping})
    checkpoint = load(config)
    batch, store = first_batch(checkpoint, config), make_store(load(config), config)
    assert len(batch.micro_batches) > 1
    shared = any(part.decoder.grouped for part in batch.micro_batches)
    assert shared == (grouping != "none" and name == "tiny_llama")
    given = []
    for part in batch.micro_batches:
        with packed_attention_of(checkpoint.model):
            losses = token_losses(checkpoint.model, part)
            losses.sum().backward()
        for place, example in enumerate(part.examples.tolist()):
            given.append((example, losses[part.owners == place].detach()))
    found = gradients(checkpoint.model)
    for example, losses in given:
        alone = plain_losses(checkpoint, store, example)
        alone.sum().backward()
        assert float(losses.sum()) == pytest.approx(float(alone.detach().sum()), rel=1e-5)
        torch.testing.assert_close(losses, alone.detach(), rtol=1e-4, atol=1e-4)
    for weight, gradient in gradients(checkpoint.model).items():
        assert (found[weight] - gradient).abs().max() <= 1e-5 * gradient.abs().max(), weight


@pytest.mark.parametrize("name", NAMES)
def test_padded_batches_give_the_same(name: str, cache: Path) -> None:
    config = changed(
        make_config(cache, name, batch_size=14, micro_batch_tokens=4000), data={"packing": False}
    )
    checkpoint = load(config)
    for part in first_batch(checkpoint, config).micro_batches:
        packed, padded = (losses_of(checkpoint.model, part, packing) for packing in (True, False))
        torch.testing.assert_close(packed[0], padded[0], rtol=1e-4, atol=1e-5)
        for weight, gradient in packed[1].items():
            assert (padded[1][weight] - gradient).abs().max() <= 1e-5 * gradient.abs().max() + 1e-7


@pytest.mark.parametrize("name", NAMES)
def test_changing_one_example_leaves_the_others_as_they_are(name: str, cache: Path) -> None:
    config = make_config(cache, name, batch_size=14, micro_batch_tokens=4000)
    checkpoint = load(config)
    batch = first_batch(checkpoint, config).micro_batches[0]
    packed = batch.encoder or batch.decoder
    start, stop = packed.offsets[1].item(), packed.offsets[2].item()
    ids = packed.ids.clone()
    ids[start : stop - 1] = 7
    other = replace(batch, **{"encoder" if batch.encoder else "decoder": replace(packed, ids=ids)})
    with torch.no_grad(), packed_attention_of(checkpoint.model):
        before, after = target_states(checkpoint.model, batch), target_states(checkpoint.model, other)
    mine = batch.owners == 1
    assert torch.equal(before[~mine], after[~mine])
    assert not torch.equal(before[mine], after[mine])


@pytest.mark.parametrize("name", NAMES)
def test_logits_in_small_pieces_and_recomputed_layers_change_nothing(
    name: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config(cache, name, batch_size=14, micro_batch_tokens=4000)
    checkpoint = load(config)
    batch = first_batch(checkpoint, config).micro_batches[0]
    wanted = losses_of(checkpoint.model, batch)
    monkeypatch.setattr(packed_forward, "ROWS", 5)
    torch.testing.assert_close(losses_of(checkpoint.model, batch), wanted, rtol=1e-4, atol=1e-5)
    for part in checkpoint.model.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
    checkpoint.model.activation_checkpointing_enable({"use_reentrant": False})
    checkpoint.model.train()
    torch.testing.assert_close(losses_of(checkpoint.model, batch), wanted, rtol=1e-4, atol=1e-5)


def test_at_most_so_many_rows_of_logits_exist(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = make_config(cache, batch_size=14, micro_batch_tokens=4000)
    checkpoint = load(config)
    batch = first_batch(checkpoint, config).micro_batches[0]
    monkeypatch.setattr(packed_forward, "ROWS", 5)
    seen: list[int] = []
    with packed_attention_of(checkpoint.model):
        checkpoint.model.lm_head.register_forward_hook(lambda *call: seen.append(call[2].shape[-2]))
        token_losses(checkpoint.model, batch).sum().backward()
    assert max(seen) == 5
    assert sum(seen) == 2 * len(batch.labels)  # once forward, once again in the backward pass


def test_the_model_is_as_before_also_after_a_failure(cache: Path) -> None:
    model = load(make_config(cache)).model
    before = model.config._attn_implementation
    with packed_attention_of(model):
        assert model.config._attn_implementation != before
    with pytest.raises(KeyError), packed_attention_of(model):
        raise KeyError
    assert model.config._attn_implementation == before
    with packed_attention_of(model, packing=False):
        assert model.config._attn_implementation == before


def test_encoder_decoders_of_other_families_are_refused() -> None:
    def stand_in(kind: str) -> Any:
        return SimpleNamespace(config=SimpleNamespace(is_encoder_decoder=True, model_type=kind))

    with pytest.raises(UserError, match="of type bart"):
        check_model(stand_in("bart"))
    check_model(stand_in("bart"), packing=False)
    check_model(stand_in("t5"))


def test_the_loss_module_passes_on_how_batches_are_laid_out(cache: Path) -> None:
    config = make_config(cache)
    checkpoint = load(config)
    batch = first_batch(checkpoint, config).micro_batches[0]
    packed, padded = TokenLosses(checkpoint.model), TokenLosses(checkpoint.model, packing=False)
    with torch.no_grad():
        with packed_attention_of(checkpoint.model):
            one = packed(batch)
        other = padded(batch)  # the library's own attention knows nothing of packed batches
    assert one.dtype == torch.float32
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
