"""Training through windows and capped logits: loss and gradients of transformers' own forward pass."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from instruct_ablate.data.collate import collate
from instruct_ablate.data.store import Ragged, TokenStore
from instruct_ablate.errors import UserError
from instruct_ablate.model.attention_scores import Scores
from instruct_ablate.model.training import loss
from instruct_ablate.model.training.layers.cpu_attention import ROWS
from instruct_ablate.model.training.layers.output_layer import OutputLayer
from instruct_ablate.model.training.loss import TokenLosses, check_model, packed_attention_of
from tests.model.fits import gradients
from tests.model.windows import KINDS, WINDOW, make_model

# A window ends within a common beginning, at its end, in the middle of a block of attention, and never.
LENGTHS = [(26, 4), (29, 6), (ROWS + 20, 5), (WINDOW - 3, 3)]
COMMON = 22


def make_store() -> TokenStore:
    """Four examples, the first three of which begin alike."""
    draw = np.random.default_rng(0)
    common = draw.integers(3, 64, COMMON)
    sources = [draw.integers(3, 64, length) for length, _ in LENGTHS]
    for ids in sources[:3]:
        ids[:COMMON] = common
    targets = [draw.integers(3, 64, length) for _, length in LENGTHS]
    return TokenStore(ragged(sources), ragged(targets), np.zeros(len(LENGTHS), dtype=np.int64), 0, False)


def ragged(parts: list[Any]) -> Ragged:
    return Ragged(np.concatenate(parts).astype(np.int32), np.cumsum([0, *map(len, parts)]))


def plain_losses(model: Any, store: TokenStore, example: int) -> Tensor:
    """The losses of an example's target by the model's own forward pass."""
    source, target = (torch.tensor(ids[example].astype("int64")) for ids in (store.sources, store.targets))
    logits = model(input_ids=torch.cat([source, target])[None], use_cache=False).logits[0]
    return F.cross_entropy(logits[len(source) - 1 : -1], target, reduction="none")


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_losses_and_gradients_are_those_of_transformers(kind: str, grouped: bool) -> None:
    model, store = make_model(kind), make_store()
    batch = collate(store, [[0, 1, 2], [3]] if grouped else [[0], [1], [2], [3]], None)
    assert batch.decoder.grouped == grouped
    with packed_attention_of(model):
        losses = TokenLosses(model)(batch)
        losses.sum().backward()
    found = gradients(model)
    wanted = torch.cat([plain_losses(model, store, example) for example in range(len(LENGTHS))])
    wanted.sum().backward()
    torch.testing.assert_close(losses, wanted, rtol=1e-5, atol=1e-5)
    for name, gradient in gradients(model).items():
        assert (found[name] - gradient).abs().max() <= 1e-5 * gradient.abs().max() + 1e-7, name


@pytest.mark.parametrize("lost", ["sliding_window", "softcap"])
def test_what_is_lost_on_the_way_to_attention_is_refused(lost: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Scores.of
    monkeypatch.setattr(Scores, "of", lambda query, keywords: read(query, {**keywords, lost: None}))
    model = make_model("gemma2")
    with pytest.raises(UserError, match=r"data\.packing=true: their attention or output layer"):
        check_model(model)
    check_model(model, packing=False)
    assert model.config.sliding_window == model.model.layers[0].self_attn.sliding_window == WINDOW


def test_an_output_layer_that_is_not_known_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_model("granite")
    monkeypatch.setattr(loss.OutputLayer, "of", lambda model: OutputLayer(model.lm_head))
    for packing in (True, False):
        with pytest.raises(UserError, match="output layer"):
            check_model(model, packing)


def test_other_limits_of_what_tokens_see_need_unpacked_sequences() -> None:
    model = make_model("mistral", attention_chunk_size=16)
    with pytest.raises(UserError, match=r"attention_chunk_size=16.*data\.packing=false"):
        check_model(model)
    check_model(model, packing=False)
