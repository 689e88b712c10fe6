"""The last layer for the tokens wanted alone, against all of it: the same losses, gradients, answers and rankings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from instruct_ablate.data.micro_batch import NO_PARENT, MicroBatch
from instruct_ablate.model import last_layer
from instruct_ablate.model.adapters import bare
from instruct_ablate.model.attention_scores import Scores
from instruct_ablate.model.decoding.predict import predict
from instruct_ablate.model.loading.tiny_families import FAMILIES
from instruct_ablate.model.training.layers.decoder_attention import PackedLayout
from instruct_ablate.model.training.layers.dropout import Dropout
from instruct_ablate.model.training.loss import TokenLosses, packed_attention_of
from instruct_ablate.model.training.trainable import make_trainable
from tests.model import decoding_cases
from tests.model.fits import changed, first_batch, gradients, load, make_config
from tests.model.training.layers.test_decoder_attention import make_packed, random_states

NAMES = sorted(name for name, family in FAMILIES.items() if family.kind == "decoder-only")
FEED_FORWARD = {"mlp", "fc2"}  # as families call it, or its last part
LAST_LAYER = last_layer.last_layer


@pytest.fixture
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp() / "cache"


@contextmanager
def all_of_it() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(last_layer, "last_layer", lambda model: None)
        yield


def losses_of(
    model: Any, batches: tuple[MicroBatch, ...], dropout: Dropout | None = None
) -> tuple[Tensor, dict[str, Tensor]]:
    torch.manual_seed(3)
    module = TokenLosses(model, dropout=dropout)
    losses = []
    with packed_attention_of(model, dropout=dropout):
        for batch in batches:
            losses.append(module(batch))
            losses[-1].sum().backward()
    return torch.cat(losses).detach(), gradients(model)


def rows_of_feed_forward(model: Any, run: Callable[[], Any]) -> tuple[Any, list[int]]:
    """Return what something gives, and how many tokens passed the last layer's feed-forward network each time."""
    layer = LAST_LAYER(model)
    assert layer is not None
    part = next(part for name, part in layer.named_children() if name in FEED_FORWARD)
    seen: list[int] = []
    hook = part.register_forward_hook(lambda *call: seen.append(call[2].numel() // call[2].shape[-1]))
    try:
        return run(), seen
    finally:
        hook.remove()


def assert_same(given: tuple[Tensor, dict[str, Tensor]], wanted: tuple[Tensor, dict[str, Tensor]]) -> None:
    torch.testing.assert_close(given[0], wanted[0], rtol=1e-5, atol=1e-6)
    assert given[1].keys() == wanted[1].keys()
    # Some are zero but for rounding, as of the biases of keys.
    least = 0.01 * max(float(gradient.norm()) for gradient in wanted[1].values())
    for name, gradient in wanted[1].items():
        assert (given[1][name] - gradient).norm() <= 1e-6 * max(float(gradient.norm()), least), name


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("grouping", ["none", "task"])
def test_losses_and_gradients_are_those_of_all_of_the_layer(name: str, grouping: str, cache: Path) -> None:
    config = changed(make_config(cache, name, batch_size=14), data={"grouping": grouping})
    checkpoint = load(config)
    model = make_trainable(checkpoint.model, config)
    batches = first_batch(checkpoint, config).micro_batches
    given, rows = rows_of_feed_forward(model, lambda: losses_of(model, batches))
    assert rows[-len(batches) :] == [len(batch.rows) for batch in batches]
    with all_of_it():
        assert_same(given, losses_of(model, batches))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("decoding", ["greedy", "rank"])
def test_answers_are_those_of_all_of_the_layer(name: str, decoding: str, cache: Path) -> None:
    checkpoint = decoding_cases.make_checkpoint(name, cache)
    choices = decoding_cases.LABELS if decoding == "rank" else None
    prompts, config = decoding_cases.make_prompts(2, 6, choices), decoding_cases.make_config(decoding)

    def answers() -> list[Any]:
        return list(predict(checkpoint, prompts, config, likelihoods=True))

    given, rows = rows_of_feed_forward(checkpoint.model, answers)
    with all_of_it():
        wanted, every = rows_of_feed_forward(checkpoint.model, answers)
    assert sum(rows) < 0.7 * sum(every)
    assert [one.text for one in given] == [one.text for one in wanted]
    for one, other in zip(given, wanted, strict=True):
        mine, theirs = ([part.log_probability for part in some.likelihoods or ()] for some in (one, other))
        assert mine == pytest.approx(theirs, rel=1e-4)


@pytest.mark.parametrize("recomputing", [False, True])
@pytest.mark.parametrize("method", ["full", "lora"])
@pytest.mark.parametrize("name", ["tiny_llama", "tiny_gpt2"])
def test_with_adapters_and_with_activations_computed_again(
    name: str, method: str, recomputing: bool, cache: Path
) -> None:
    config = changed(
        make_config(cache, name, batch_size=14, activation_checkpointing=recomputing),
        method={"name": method},
        data={"grouping": "task"},
    )
    checkpoint = load(config)
    model = make_trainable(checkpoint.model, config)
    for key, weight in model.named_parameters():
        if "lora_B" in key:  # zeros: they would give the other half no gradient
            torch.nn.init.normal_(weight, std=0.1)
    batches = first_batch(checkpoint, config).micro_batches
    given, rows = rows_of_feed_forward(bare(model), lambda: losses_of(model, batches))
    assert rows[-len(batches) :] == [
        len(batch.rows) for batch in batches
    ]  # not once more in the backward pass
    with all_of_it():
        assert_same(given, losses_of(model, batches))


def test_random_numbers_are_drawn_as_by_all_of_the_layer(cache: Path) -> None:
    config = changed(make_config(cache, batch_size=14), method={"name": "lora", "dropout": 0.3})
    checkpoint = load(config)
    model = make_trainable(checkpoint.model, config)
    batches = first_batch(checkpoint, config).micro_batches
    given = losses_of(model, batches)
    with all_of_it():
        wanted = losses_of(model, batches)
    assert torch.equal(given[0], wanted[0])
    assert all(torch.equal(given[1][name], gradient) for name, gradient in wanted[1].items())


def test_with_dropout_nothing_is_left_out(cache: Path) -> None:
    config = make_config(cache, batch_size=14)
    checkpoint = load(config)
    model = make_trainable(checkpoint.model, config)
    batches = first_batch(checkpoint, config).micro_batches
    dropout = Dropout(0.2, 0)
    given, rows = rows_of_feed_forward(model, lambda: losses_of(model, batches, dropout))
    assert rows[-len(batches) :] == [batch.decoder.total for batch in batches]
    with all_of_it():
        wanted = losses_of(model, batches, dropout)
    assert torch.equal(given[0], wanted[0])


def test_where_prompts_count_they_pass_too(cache: Path) -> None:
    config = changed(
        make_config(cache, batch_size=14, prompt_loss_weight=0.5, micro_batch_tokens=900),
        data={"grouping": "task"},
    )
    checkpoint = load(config)
    model = make_trainable(checkpoint.model, config)
    batches = first_batch(checkpoint, config).micro_batches
    given, rows = rows_of_feed_forward(model, lambda: losses_of(model, batches))
    assert rows[-len(batches) :] == [batch.decoder.total for batch in batches]
    with all_of_it():
        assert_same(given, losses_of(model, batches))


@pytest.mark.parametrize("window", [None, 20])
@pytest.mark.parametrize("by_blocks", [True, False])
def test_queries_wherever_they_stand_see_what_they_saw(window: int | None, by_blocks: bool) -> None:
    packed = make_packed((70, 3, 90, 66, 1), (NO_PARENT, 0, 0, NO_PARENT, 3))
    wanted = torch.tensor([0, 1, 69, 70, 71, 72, 73, 80, 81, 82, 100, *range(120, 163), 228, 229])
    query, key, value = random_states(230)
    scores = Scores(0.3, window)
    every, few = PackedLayout(packed), PackedLayout(packed, None, wanted)
    attend = PackedLayout.attend if by_blocks else PackedLayout.by_kernels
    whole = attend(every, query, key, value, scores)
    given = attend(few, query[:, :, wanted], key, value, scores)
    torch.testing.assert_close(given, whole[:, wanted])
    seen = torch.autograd.grad(given.sin().sum(), (query, key, value))
    known = torch.autograd.grad(whole[:, wanted].sin().sum(), (query, key, value))
    for one, other in zip(seen, known, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_layers_of_an_unknown_kind_run_whole(cache: Path) -> None:
    model: Any = load(make_config(cache)).model
    layer = last_layer.last_layer(model)
    assert layer is not None

    class Other(type(layer)):  # type: ignore[misc]
        def forward(self, hidden_states: Tensor, per_token: Tensor | None = None, **keywords: Any) -> Tensor:
            return super().forward(hidden_states, **keywords)

    layer.__class__ = Other
    assert last_layer.last_layer(model) is None
    with last_layer.shortened(model, "packed") as short:
        assert not short


def test_a_layer_is_as_before_afterwards_also_after_a_failure(cache: Path) -> None:
    model: Any = load(make_config(cache)).model
    layer = last_layer.last_layer(model)
    with last_layer.shortened(model, "packed") as short:
        assert short
        assert "forward" in vars(layer)
        assert last_layer.last_layer(model) is None  # not twice
    assert "forward" not in vars(layer)
    with pytest.raises(KeyError), last_layer.shortened(model, "packed"):
        raise KeyError
    assert "forward" not in vars(layer)
