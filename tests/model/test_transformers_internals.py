"""What is taken from inside transformers is there and does what it did; each failure names what moved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import AttentionInterface

from instruct_ablate.model.training.layers import decoder_attention
from instruct_ablate.model.transformers_internals import (
    attending,
    bias_attentions,
    conversion_bars_on_terminals_alone,
    position_buckets,
    replaced,
    takes_registered_attention,
)
from tests.model.fits import NAMES, load, make_config


@pytest.fixture
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp() / "cache"


@pytest.fixture
def t5(cache: Path) -> Any:
    return load(make_config(cache, "tiny_t5")).model


@pytest.mark.parametrize("name", NAMES)
def test_the_attention_in_use_is_the_configs(name: str, cache: Path) -> None:
    model = load(make_config(cache, name)).model
    former = getattr(model.config, "_attn_implementation", None)
    assert former is not None, (
        "transformers keeps the attention in use elsewhere than config._attn_implementation"
    )
    with attending(model, decoder_attention.NAME):
        parts = [part.config for part in model.modules() if hasattr(part, "config")]
        used = {part._attn_implementation for part in parts}
        assert used == {decoder_attention.NAME}, "set_attn_implementation no longer reaches every part"
    assert model.config._attn_implementation == former


def test_the_attention_comes_back_after_a_failure(cache: Path) -> None:
    model = load(make_config(cache)).model
    former = model.config._attn_implementation
    with pytest.raises(KeyError), attending(model, decoder_attention.NAME):
        raise KeyError
    assert model.config._attn_implementation == former


def test_a_method_replaced_twice_is_again_what_it_was_each_time() -> None:
    part, given = nn.Linear(2, 2), torch.ones(1, 2)
    own = part(given)
    with replaced("forward", {part: lambda states: "outer"}):
        with replaced("forward", {part: lambda states: "inner"}):
            assert part(given) == "inner"
        assert part(given) == "outer"
    assert torch.equal(part(given), own)
    assert "forward" not in vars(part)


def test_registered_functions_are_those_called(cache: Path) -> None:
    model, calls = load(make_config(cache)).model, []

    def note(module: nn.Module, query: torch.Tensor, *rest: Any, **keywords: Any) -> Any:
        calls.append((query.shape[2], "scaling" in keywords, keywords.get("extra")))
        return query.transpose(1, 2).contiguous(), None

    AttentionInterface.register("instruct_ablate_noting", note)
    assert takes_registered_attention(model), "_supports_attention_backend is gone, or no longer set"
    with torch.no_grad(), attending(model, "instruct_ablate_noting"):
        model(input_ids=torch.arange(3, 8)[None], extra="handed down")
    told = "the layers no longer hand scaling and further keywords to the registered attention"
    assert calls == [(5, True, "handed down")] * model.config.num_hidden_layers, told


def test_t5_has_its_bias_in_the_first_layer_of_each_stack(t5: Any) -> None:
    for stack in (t5.get_encoder(), t5.get_decoder()):
        first = bias_attentions(stack)[0]
        told = "T5's relative position bias is no longer in block[0].layer[0].SelfAttention"
        assert first.relative_attention_bias.weight.shape == (
            t5.config.relative_attention_num_buckets,
            t5.config.num_heads,
        ), told
        owners = [part for part in stack.modules() if hasattr(part, "relative_attention_bias")]
        assert owners == [first], told


def test_t5_buckets_are_those_of_its_bias(t5: Any) -> None:
    for stack in (t5.get_encoder(), t5.get_decoder()):
        first = bias_attentions(stack)[0]
        distance = torch.arange(6)[None, :] - torch.arange(6)[:, None]
        bias = first.relative_attention_bias(position_buckets(first, distance)).permute(2, 0, 1)[None]
        told = "T5Attention._relative_position_bucket or compute_bias has changed"
        torch.testing.assert_close(bias, first.compute_bias(6, 6), msg=told)


def test_t5_stacks_ask_the_replaced_method_for_their_bias(t5: Any) -> None:
    first, calls = bias_attentions(t5.get_encoder())[0], []
    plain = first.compute_bias

    def noted(*given: Any, **named: Any) -> torch.Tensor:
        calls.append(given)
        bias: torch.Tensor = plain(*given, **named)
        return bias

    with torch.no_grad(), replaced("compute_bias", {first: noted}):
        t5.get_encoder()(input_ids=torch.arange(3, 8)[None])
    assert len(calls) == 1, "T5's first layer no longer gets its bias from compute_bias"


def test_replaced_methods_come_back_after_a_failure_too() -> None:
    layer = nn.Linear(2, 2)
    with replaced("forward", {layer: lambda states: states + 1}):
        assert torch.equal(layer(torch.zeros(1, 2)), torch.ones(1, 2))
    assert "forward" not in vars(layer)
    with pytest.raises(KeyError), replaced("forward", {layer: lambda states: states}):
        raise KeyError
    assert "forward" not in vars(layer)


def test_the_conversions_bar_is_for_terminals_alone(capsys: pytest.CaptureFixture[str]) -> None:
    from transformers import modeling_gguf_pytorch_utils as converting

    before = converting.tqdm
    with conversion_bars_on_terminals_alone():
        assert list(converting.tqdm(range(3), desc="converting")) == [0, 1, 2]
    assert converting.tqdm is before
    assert capsys.readouterr().err == ""
