"""Dropout whose masks follow examples: the same result however a step is divided, stopped or computed again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from instruct_ablate.data.collate import collate
from instruct_ablate.data.store import TokenStore
from instruct_ablate.errors import UserError
from instruct_ablate.instruction.context import hashed
from instruct_ablate.model.loading.checkpoint import Checkpoint
from instruct_ablate.model.training.layers.dropout import Dropout
from instruct_ablate.model.training.loss import TokenLosses, packed_attention_of
from instruct_ablate.model.training.settings import check_dropout
from instruct_ablate.schema import DataConfig, TrainerConfig
from tests.model.fits import NAMES, dropping_sites, load, make_config, make_store


def losses(
    checkpoint: Checkpoint,
    store: TokenStore,
    groups: list[list[int]],
    step: int = 3,
    rate: float = 0.2,
    seed: int = 0,
) -> dict[int, Tensor]:
    """The losses of each example's tokens, the examples of a group in one micro-batch."""
    model: Any = checkpoint.model.train()
    dropout = Dropout(rate, seed) if rate else None
    found: dict[int, Tensor] = {}
    with packed_attention_of(model, dropout=dropout):
        module = TokenLosses(model, dropout=dropout)
        for group in groups:
            batch = collate(store, [[example] for example in group], checkpoint.start_token)
            made = module(batch, step)
            found |= {example: made[batch.owners == place] for place, example in enumerate(group)}
    return found


@pytest.fixture
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp() / "cache"


@pytest.fixture(params=NAMES)
def fit(request: pytest.FixtureRequest, cache: Path) -> tuple[Checkpoint, TokenStore]:
    config = make_config(cache, request.param)
    checkpoint = load(config)
    for part in checkpoint.model.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    return checkpoint, make_store(checkpoint, config)


def test_losses_and_gradients_do_not_depend_on_company(fit: tuple[Checkpoint, TokenStore]) -> None:
    checkpoint, store = fit
    model, every = checkpoint.model, list(range(8))
    divided: list[list[list[int]]] = [[every], [[one] for one in every], [[3, 1, 7], [0, 2], [6, 5, 4]]]
    results = []
    for groups in divided:
        found = losses(checkpoint, store, groups)
        torch.cat([found[example] for example in every]).sum().backward()
        results.append((found, [w.grad.clone() for w in model.parameters() if w.grad is not None]))
        model.zero_grad(set_to_none=True)
    for found, slopes in results[1:]:
        for example in every:
            torch.testing.assert_close(found[example], results[0][0][example], rtol=1e-4, atol=1e-4)
        for one, other in zip(slopes, results[0][1], strict=True):
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)


def test_seed_step_and_rate_make_the_difference(fit: tuple[Checkpoint, TokenStore]) -> None:
    checkpoint, store = fit
    with torch.no_grad():
        usual, none = (
            torch.cat([*losses(checkpoint, store, [[0, 1]], rate=rate).values()]) for rate in (0.2, 0.0)
        )
        again = torch.cat([*losses(checkpoint, store, [[0, 1]]).values()])
        others = [
            torch.cat([*losses(checkpoint, store, [[0, 1]], **changes).values()])
            for changes in ({"step": 4}, {"seed": 1}, {"rate": 0.3})
        ]
    assert torch.equal(usual, again)
    for other in (none, *others):
        assert not torch.allclose(usual, other, rtol=1e-3)


def test_afterwards_the_model_drops_nothing(fit: tuple[Checkpoint, TokenStore]) -> None:
    checkpoint, store = fit
    with torch.no_grad():
        before = losses(checkpoint, store, [[0, 1]], rate=0.0)
        losses(checkpoint, store, [[0, 1]])
        after = losses(checkpoint, store, [[0, 1]], rate=0.0)
    assert all(torch.equal(before[example], after[example]) for example in before)
    assert not any(part._forward_hooks for part in checkpoint.model.modules())


def test_every_site_of_t5_drops(cache: Path) -> None:
    """States and inner states of each layer, embeddings, last states, and all attention weights."""
    config = make_config(cache, "tiny_t5")
    checkpoint = load(config)
    seen = dropping_sites(checkpoint, config)
    layers, wanted = checkpoint.model.config.num_layers, []
    wanted += ["encoder.dropout", "decoder.dropout"] * 2
    for side, parts in (("encoder", ("SelfAttention",)), ("decoder", ("SelfAttention", "EncDecAttention"))):
        for layer in range(layers):
            place = f"{side}.block.{layer}.layer"
            wanted += [f"{place}.{n}.{name}" for n, name in enumerate(parts)]
            wanted += [f"{place}.{n}.dropout" for n in range(len(parts) + 1)]
            wanted += [f"{place}.{len(parts)}.DenseReluDense.dropout"]
    assert sorted(seen) == sorted(wanted)


def test_what_has_no_examples_and_places_is_refused_together() -> None:
    check_dropout(TrainerConfig(dropout=0.1), DataConfig())
    check_dropout(TrainerConfig(compile=True), DataConfig(grouping="task"))
    with pytest.raises(
        UserError, match=r"dropout=0.1 .*grouping=task and data.packing=false and trainer.compile=true"
    ):
        check_dropout(TrainerConfig(dropout=0.1, compile=True), DataConfig(grouping="task", packing=False))


def test_a_model_without_such_layers_is_refused() -> None:
    from instruct_ablate.model.training.layers.dropout import _branches

    with pytest.raises(UserError, match=r"trainer.dropout: Linear has neither dropout layers"):
        _branches(nn.Linear(2, 2))


def test_sites_are_numbered_by_their_names() -> None:
    assert hashed("site", "encoder.dropout") == SITE, "a resumed fit would draw other masks"


SITE = 12130359277444156948
