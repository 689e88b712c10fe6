from __future__ import annotations

import pytest
import torch
from torch import nn

from instruct_ablate.model.decoding.layers import ordered_weights
from instruct_ablate.model.decoding.layers.batch import Batch, Row
from instruct_ablate.model.decoding.layers.decoder_only import PackedDecoder
from instruct_ablate.model.decoding.layers.encoder_decoder import EncoderDecoder
from instruct_ablate.model.decoding.layers.ordered_weights import FEW, OrderedWeights
from instruct_ablate.model.torch_internals import takes_kernel_order

pytestmark = pytest.mark.skipif(
    not takes_kernel_order(), reason="no bf16 kernels of oneDNN on this processor"
)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows of each product with ordered weights."""
    rows: list[int] = []
    plain = ordered_weights.times_ordered

    def noting(states: torch.Tensor, *given: torch.Tensor) -> torch.Tensor:
        rows.append(states.shape[:-1].numel())
        return plain(states, *given)

    ordered_weights._same(300, 256, False, torch.get_num_threads())  # trials are not counted
    monkeypatch.setattr(ordered_weights, "times_ordered", noting)
    monkeypatch.setattr(ordered_weights, "PLAIN", 0)
    return rows


def wide(model: str) -> nn.Module:
    """A model whose matrices are large enough to be ordered."""
    from transformers import LlamaConfig, LlamaForCausalLM, T5Config, T5ForConditionalGeneration

    torch.manual_seed(0)
    if model == "llama":
        made: nn.Module = LlamaForCausalLM(
            LlamaConfig(
                hidden_size=256, intermediate_size=384, num_hidden_layers=2, num_attention_heads=4,
                num_key_value_heads=4, vocab_size=300,
            )
        )  # fmt: skip
    else:
        made = T5ForConditionalGeneration(
            T5Config(
                d_model=256, d_kv=64, d_ff=384, num_layers=2, num_heads=4, vocab_size=300,
                decoder_start_token_id=0, dropout_rate=0.0,
            )
        )  # fmt: skip
    return made.bfloat16().eval()


def decoder(model: nn.Module, weights: OrderedWeights | None = None) -> PackedDecoder | EncoderDecoder:
    rows = [Row((30, 31, 32), 0), Row((33, 34), 0), Row((35,), None)]
    if model.config.is_encoder_decoder:
        return EncoderDecoder(model, Batch((), tuple(Row((*row.tokens, 9)) for row in rows)), 0, weights)
    return PackedDecoder(model, Batch(((10, 11, 12, 13),), tuple(rows)), None, weights)


@pytest.mark.parametrize("family", ["llama", "t5"])
@torch.inference_mode()
def test_steps_give_the_bits_of_plain_products_also_when_rows_have_left(
    family: str, counted: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = wide(family)

    def steps() -> list[torch.Tensor]:
        one = decoder(model)
        logits = [one.prefill(3), one.step(torch.tensor([40, 41, 42]))]
        one.keep(torch.tensor([0, 2]))
        return [*logits, one.step(torch.tensor([43, 44]))]

    found = steps()
    assert 3 in counted
    assert 2 in counted
    counted.clear()
    monkeypatch.setattr(ordered_weights, "FEW", 0)
    wanted = steps()
    assert not counted
    assert all(torch.equal(one, other) for one, other in zip(found, wanted, strict=True))


@torch.inference_mode()
def test_layers_are_themselves_again_after_a_step_and_when_one_fails(counted: list[int]) -> None:
    model = wide("llama")
    weights = OrderedWeights(model)
    with pytest.raises(RuntimeError), weights.in_use(2):
        model(input_ids=torch.tensor([[1, 2]]), position_ids=torch.zeros(7, 7))
    with weights.in_use(2):
        model.lm_head(torch.zeros(2, 256).bfloat16())
    assert counted[-1:] == [2]
    assert not any("forward" in vars(module) for module in model.modules())
    model.lm_head.weight.mul_(2)  # as training between two evaluations does
    with OrderedWeights(model).in_use(2):
        states = torch.ones(2, 256).bfloat16()
        later = model.lm_head(states)
    assert torch.equal(later, model.lm_head(states))


@pytest.mark.parametrize(
    "change",
    [
        lambda model, patch: model.float(),
        lambda model, patch: patch.setattr(ordered_weights, "LARGEST", 1000),
        lambda model, patch: patch.setattr(ordered_weights, "SMALLEST", 10**9),
        lambda model, patch: patch.setattr(ordered_weights, "_same", lambda *_: False),
        lambda model, patch: patch.setattr(ordered_weights, "takes_kernel_order", lambda: False),
    ],
    ids=["fp32", "too large in all", "too small", "other bits", "other processors"],
)
@torch.inference_mode()
def test_other_weights_stay_as_they_are(
    change: object, counted: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = wide("llama")
    change(model, monkeypatch)  # type: ignore[operator]
    one = decoder(model)
    one.prefill(2)
    one.step(torch.tensor([40, 41, 42]))
    assert not counted


def test_many_rows_take_plain_products(counted: list[int]) -> None:
    model = wide("llama")
    weights = OrderedWeights(model)
    with torch.inference_mode(), weights.in_use(FEW + 1):
        model.lm_head(torch.zeros(FEW + 1, 256).bfloat16())
    assert not counted
    assert weights._forwards is None  # nothing was copied


def test_nothing_is_ordered_for_short_answers(counted: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ordered_weights, "PLAIN", 2)
    model = wide("llama")
    weights = OrderedWeights(model)
    for wanted in ([], [], [2], [2, 2]):
        with torch.inference_mode(), weights.in_use(2):
            model.lm_head(torch.zeros(2, 256).bfloat16())
        assert counted == wanted
        assert (weights._forwards is None) == (not wanted)


def test_once_a_batch_was_long_the_next_has_ordered_weights_from_the_start(
    counted: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ordered_weights, "PLAIN", 2)
    weights, states = OrderedWeights(model := wide("llama")), torch.zeros(2, 256).bfloat16()
    steps: list[list[bool]] = []
    for length in (2, 2, 3, 1):  # the first two are short: their steps do not add up
        weights.begin()
        steps.append([])
        for _ in range(length):
            counted.clear()
            with torch.inference_mode(), weights.in_use(2):
                model.lm_head(states)
            steps[-1].append(bool(counted))
    assert steps == [[False, False], [False, False], [False, False, True], [True]]


@pytest.mark.parametrize("family", ["llama", "t5"])
@torch.inference_mode()
def test_batches_with_the_weights_of_one_before_have_the_bits_of_plain_products(
    family: str, counted: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = wide(family)
    weights = OrderedWeights(model)
    found = [_steps(model, weights) for _ in range(2)]
    assert len(counted) > 0
    counted.clear()
    monkeypatch.setattr(ordered_weights, "FEW", 0)
    wanted = _steps(model, None)
    assert not counted
    assert all(torch.equal(one, other) for steps in found for one, other in zip(steps, wanted, strict=True))


def _steps(model: nn.Module, weights: OrderedWeights | None) -> list[torch.Tensor]:
    one = decoder(model, weights)
    return [one.prefill(2), one.step(torch.tensor([40, 41, 42])), one.step(torch.tensor([43, 44, 45]))]


@torch.inference_mode()
def test_weights_that_no_step_reads_are_not_copied(
    counted: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    copied: list[int] = []
    plain = ordered_weights.in_kernel_order

    def noting(weight: torch.Tensor) -> torch.Tensor:
        copied.append(weight.data_ptr())
        return plain(weight)

    model = wide("t5")
    one = decoder(model)
    one.prefill(3)
    with monkeypatch.context() as patch:
        patch.setattr(ordered_weights, "in_kernel_order", noting)
        one = decoder(model)
        one.prefill(3)
        one.step(torch.tensor([40, 41, 42]))
    layers = [layer for layer in model.encoder.modules() if isinstance(layer, nn.Linear)]
    encoders = {layer.weight.data_ptr() for layer in layers}
    assert copied
    assert len(set(copied)) == len(copied)  # once for all steps
    assert not encoders & set(copied)


def test_a_processor_without_the_kernel_takes_plain_products(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("could not create a primitive descriptor")

    monkeypatch.setattr(ordered_weights, "in_kernel_order", fail)
    assert not ordered_weights._same.__wrapped__(300, 256, False, 1)


def test_a_trial_tells_orders_of_summing_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    turned = torch.arange(256).flip(0)
    monkeypatch.setattr(
        ordered_weights, "in_kernel_order", lambda weight: weight[:, turned].float().contiguous()
    )
    monkeypatch.setattr(
        ordered_weights,
        "times_ordered",
        lambda states, weight, bias: nn.functional.linear(states[:, turned].float(), weight).bfloat16(),
    )
    assert not ordered_weights._same.__wrapped__(300, 256, False, 1)
