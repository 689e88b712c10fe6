"""Large vocabularies: the same losses and gradients, few logits at a time, and no second gradient of the weight."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from instruct_ablate.model.training.fit import fit
from instruct_ablate.model.training.layers import large_vocabulary
from instruct_ablate.model.training.layers.large_vocabulary import (
    LARGE,
    LOGITS,
    losses_into,
    master_of_output,
    rows_at_once,
)
from instruct_ablate.model.training.layers.output_layer import OutputLayer
from instruct_ablate.model.training.loss import TokenLosses, packed_attention_of
from instruct_ablate.model.training.master_weights import MasterWeights
from tests.model.fits import (
    NAMES,
    changed,
    first_batch,
    load,
    make_config,
    make_prompts,
    same_bits,
    weights,
)
from tests.model.windows import make_model


@pytest.fixture
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp() / "cache"


def test_the_fewer_rows_the_larger_the_vocabulary() -> None:
    assert rows_at_once(49_152, 256) == 256
    assert rows_at_once(151_936, 256) == 82
    assert rows_at_once(262_144, 256) == 48
    assert rows_at_once(10**9, 256) == 1
    assert LOGITS == 256 * 49_152
    # t5-small's matrix is large, the tiny models' are summed by autograd.
    assert 1_000 * 64 < LARGE < 32_128 * 512


def gradients_of(model: Any, batch: Any, direct: bool) -> tuple[Tensor, list[Tensor]]:
    """The losses of a batch that is read twice, and what is summed in the masters."""
    losses = TokenLosses(model)
    masters = MasterWeights(losses.parameters())
    if direct:
        losses.master_of = masters.master_of
    with packed_attention_of(model):
        for _ in range(2):
            made = losses(batch)
            made.sum().backward()
    masters.release()
    summed = [master.grad for master in masters.masters]
    for weight, master in zip(masters.parameters, masters.masters, strict=True):
        weight.grad = master.grad = None
    assert all(gradient is not None for gradient in summed)
    return made.detach(), [gradient for gradient in summed if gradient is not None]


@pytest.mark.parametrize("kept", [150, 10**6], ids=["logits made again", "logits kept"])
@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        ("gemma3", torch.float32),
        ("gemma3", torch.bfloat16),
        ("gemma2", torch.float32),
        ("cohere2", torch.float32),
        ("qwen3", torch.bfloat16),
        ("tiny_t5", torch.float32),
        ("tiny_t5", torch.bfloat16),
        ("tiny_opt", torch.float32),
    ],
)
def test_gradients_are_those_of_autograd(
    kind: str, dtype: torch.dtype, kept: int, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = kind.startswith("tiny")
    checkpoint = load(config := make_config(cache, kind if own else "tiny_llama"))
    model: Any = checkpoint.model if own else make_model(kind, len(checkpoint.tokenizer))
    batch = first_batch(checkpoint, config).micro_batches[0]
    batch.decoder.ids[1] = 0  # padding's embedding has no gradient
    model = model.to(dtype)
    wanted = gradients_of(model, batch, direct=False)
    monkeypatch.setattr(large_vocabulary, "LARGE", 0)
    monkeypatch.setattr(large_vocabulary, "LOGITS", kept * len(batch.labels))
    monkeypatch.setattr(large_vocabulary, "SLICE", 100 * model.config.hidden_size)
    used: list[int] = []
    keep = large_vocabulary._sum_of
    monkeypatch.setattr(large_vocabulary, "_sum_of", lambda master: used.append(id(master)) or keep(master))
    given = gradients_of(model, batch, direct=True)
    # Look-ups, twice: of T5 words and distances, in the encoder and in the decoder; of OPT words and positions.
    assert len(used) == {"tiny_t5": 8, "tiny_opt": 4}.get(kind, 2)
    exact = dtype == torch.float32
    torch.testing.assert_close(
        given[0], wanted[0], rtol=1e-5 if exact else 2e-2, atol=1e-5 if exact else 2e-2
    )
    bound = 1e-5 if exact else 5e-2
    for one, other in zip(given[1], wanted[1], strict=True):
        assert (one - other).abs().max() <= bound * other.abs().max() + 1e-7


def small_head() -> tuple[nn.Linear, torch.Tensor, torch.Tensor]:
    """An output layer of 50 words, six states and their labels."""
    torch.manual_seed(0)
    layer = nn.Linear(8, 50, bias=False)
    return layer, torch.randn(6, 8, requires_grad=True), torch.tensor([0, 9, 10, 19, 49, 30])


def logits_made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many logits each product makes from now on."""
    seen: list[int] = []
    product = F.linear
    monkeypatch.setattr(F, "linear", lambda one, two: seen.append(len(one) * len(two)) or product(one, two))
    return seen


def test_logits_of_a_slice_exist_at_a_time_and_the_gradient_only_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(large_vocabulary, "LARGE", 0)
    monkeypatch.setattr(large_vocabulary, "LOGITS", 60)
    layer, states, labels = small_head()
    product, seen = F.linear, logits_made(monkeypatch)
    layer.weight.grad = summed = torch.ones_like(layer.weight)
    losses = losses_into(states, labels, OutputLayer(layer), layer.weight)
    losses.sum().backward()
    assert (max(seen), sum(seen)) == (60, 2 * 6 * 50)  # all of them forward, and once again
    assert layer.weight.grad is summed
    wanted = torch.autograd.grad(
        F.cross_entropy(product(states, layer.weight), labels, reduction="sum"), layer.weight
    )[0]
    torch.testing.assert_close(summed - 1, wanted, rtol=1e-5, atol=1e-5)


def test_few_logits_are_kept_and_a_second_backward_pass_makes_them_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(large_vocabulary, "LARGE", 0)
    monkeypatch.setattr(large_vocabulary, "SLICE", 8 * 20)
    layer, states, labels = small_head()
    product, seen = F.linear, logits_made(monkeypatch)
    loss = losses_into(states, labels, OutputLayer(layer), layer.weight).sum()
    loss.backward(retain_graph=True)
    assert seen == [6 * 20, 6 * 20, 6 * 10]
    plain = F.cross_entropy(product(states, layer.weight), labels, reduction="sum")
    wanted = torch.autograd.grad(plain, [states, layer.weight])
    torch.testing.assert_close([states.grad, layer.weight.grad], list(wanted), rtol=1e-5, atol=1e-6)
    loss.backward()
    assert len(seen) == 6
    twice = [2 * one for one in wanted]
    torch.testing.assert_close([states.grad, layer.weight.grad], twice, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["tiny_t5", "tiny_llama"])
def test_no_gradient_of_all_words_is_made_beside_the_sum(
    kind: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large_vocabulary, "LARGE", 0)
    checkpoint = load(config := make_config(cache, kind), torch.bfloat16)
    model: Any = checkpoint.model
    batch = first_batch(checkpoint, config).micro_batches[0]
    losses = TokenLosses(model)
    masters = MasterWeights(losses.parameters())
    words = {id(layer.weight) for layer in (model.get_input_embeddings(), model.get_output_embeddings())}
    made: list[int] = []

    def note(weight: Tensor) -> None:
        weight.register_hook(lambda given: made.append(id(weight)) if given is not None else None)

    for weight in masters.parameters:
        note(weight)
    losses.master_of = masters.master_of
    with packed_attention_of(model):
        losses(batch).sum().backward()
    masters.release()
    assert made
    assert not words & set(made)


@pytest.mark.parametrize("name", NAMES)
def test_a_fit_of_several_micro_batches_ends_alike(
    name: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = make_config(cache, name, optimizer="adafactor", learning_rate=1e-3, micro_batch_tokens=150)
    config = changed(base, data={"grouping": "task"})
    ends = []
    for least in (LARGE, 0):
        monkeypatch.setattr(large_vocabulary, "LARGE", least)
        checkpoint = load(config)
        fit(checkpoint, make_prompts(), config, tmp_path / str(least))
        ends.append(weights(checkpoint))
    assert not same_bits(*ends)
    for weight, tensor in ends[0].items():
        torch.testing.assert_close(ends[1][weight], tensor, rtol=1e-3, atol=3e-4)


def test_only_plain_layers_with_a_known_master_go_this_way(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, biased = nn.Linear(4, 9, bias=False), nn.Linear(4, 9)
    assert master_of_output(OutputLayer(plain), lambda weight: weight) is None  # it is small
    monkeypatch.setattr(large_vocabulary, "LARGE", 0)
    assert master_of_output(OutputLayer(plain), lambda weight: weight) is plain.weight
    assert master_of_output(OutputLayer(biased), lambda weight: weight) is None
    assert master_of_output(OutputLayer(plain), lambda weight: None) is None
    plain.weight.requires_grad_(False)
    assert master_of_output(OutputLayer(plain), lambda weight: weight) is None
