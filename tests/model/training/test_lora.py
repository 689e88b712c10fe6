from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from instruct_ablate.errors import UserError
from instruct_ablate.model.adapters import bare, decoder_layers
from instruct_ablate.model.training.lora import adapt, check_layers
from instruct_ablate.model.training.settings import check_dora, check_method
from instruct_ablate.model.training.trainable import make_trainable
from instruct_ablate.schema import MethodConfig, ModelConfig, TrainerConfig
from tests.model.fits import NAMES, load, make_config


@pytest.fixture
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp() / "cache"


@pytest.mark.parametrize("name", NAMES)
def test_only_small_matrices_are_trained_and_the_rest_stays_as_it_is(name: str, cache: Path) -> None:
    model = load(make_config(cache, name), torch.bfloat16).model
    total = sum(weight.numel() for weight in model.parameters())
    adapted = adapt(model, MethodConfig(name="lora", rank=2), seed=0)
    trained = {key: weight for key, weight in adapted.named_parameters() if weight.requires_grad}
    assert all("lora_" in key for key in trained)
    assert 0 < sum(weight.numel() for weight in trained.values()) < total / 5
    frozen = [weight for key, weight in adapted.named_parameters() if key not in trained]
    assert {weight.dtype for weight in frozen} == {torch.bfloat16}


def test_adapters_depend_on_the_seed_alone(cache: Path) -> None:
    def drawn(seed: int) -> list[torch.Tensor]:
        torch.manual_seed(torch.randint(100, (1,)).item())
        adapted = adapt(load(make_config(cache)).model, MethodConfig(name="lora"), seed)
        return [weight for weight in adapted.parameters() if weight.requires_grad]

    before = torch.get_rng_state()
    one, same, other = drawn(3), drawn(3), drawn(4)
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    torch.set_rng_state(before)


def test_random_numbers_of_the_fit_are_not_used_up(cache: Path) -> None:
    model = load(make_config(cache)).model
    before = torch.get_rng_state()
    adapt(model, MethodConfig(name="lora"), seed=0)
    assert torch.equal(torch.get_rng_state(), before)


def test_named_layers_alone(cache: Path) -> None:
    model = load(make_config(cache)).model
    adapted = adapt(model, MethodConfig(name="lora", target_modules=["q_proj"]), seed=0)
    trained = [key for key, weight in adapted.named_parameters() if weight.requires_grad]
    assert len(trained) == 4  # two layers, two matrices each
    assert all("q_proj" in key for key in trained)


def test_faults(cache: Path) -> None:
    with pytest.raises(UserError, match="did you mean 'lora'"):
        check_method(MethodConfig(name="lore"))
    for changes in ({"rank": 0}, {"alpha": 0}, {"dropout": 1.0}, {"dropout": float("nan")}):
        with pytest.raises(UserError, match=f"method.{next(iter(changes))}=.* must be at least"):
            check_method(MethodConfig(name="lora", **changes))  # type: ignore[arg-type]
    with pytest.raises(UserError, match="target_modules"):
        adapt(load(make_config(cache)).model, MethodConfig(name="lora", target_modules=["nothing"]), 0)


@pytest.mark.parametrize("target", ["shared", "embed_tokens"])
def test_an_adapter_that_t5_would_never_use_is_refused(target: str, cache: Path) -> None:
    model = load(make_config(cache, "tiny_t5")).model
    method = MethodConfig(name="lora", target_modules=[target])
    if target == "shared":
        with pytest.raises(UserError, match="Name embed_tokens"):
            adapt(model, method, 0)
    else:
        adapt(model, method, 0)


def test_layers_are_looked_for_before_weights_are_loaded(cache: Path) -> None:
    model = ModelConfig("tiny_llama", source="random")
    check_layers(model, MethodConfig("lora", target_modules=["q_proj", "down_proj"]), cache)
    with pytest.raises(UserError, match=r"target_modules: 'q_prj'; did you mean 'q_proj'"):
        check_layers(model, MethodConfig("lora", target_modules=["v_proj", "q_prj"]), cache)
    with pytest.raises(UserError, match="target_modules"):
        check_layers(model, MethodConfig("lora", target_modules=["mlp"]), cache)


def trained_layers(name: str, cache: Path, method: MethodConfig) -> set[str]:
    adapted = adapt(load(make_config(cache, name)).model, method, 0)
    return {
        key.partition(".lora_")[0].rpartition(".")[2]
        for key, w in adapted.named_parameters()
        if w.requires_grad
    }


@pytest.mark.parametrize(
    ("name", "own", "others"),
    [
        ("tiny_llama", {"q_proj", "k_proj", "v_proj", "o_proj"}, {"up_proj"}),
        ("tiny_t5", set("qkvo"), {"wi_0"}),
    ],
)
def test_adapters_beside_attention_alone(name: str, own: set[str], others: set[str], cache: Path) -> None:
    assert trained_layers(name, cache, MethodConfig("lora", target="attention")) == own
    assert trained_layers(name, cache, MethodConfig("lora")) > own | others


def test_layers_are_named_in_full_where_others_have_the_same_last_name() -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    model = GPT2LMHeadModel(GPT2Config(vocab_size=20, n_positions=8, n_embd=8, n_layer=1, n_head=2))
    adapted = adapt(model, MethodConfig("lora", target="attention", dora=True), 0)
    pairs = {key.partition(".lora_")[0] for key, weight in adapted.named_parameters() if weight.requires_grad}
    assert {key.partition("h.0.")[2] for key in pairs} == {"attn.c_attn", "attn.c_proj"}  # not mlp.c_proj


def test_rslora_counts_by_the_root_of_the_rank(cache: Path) -> None:
    def scaling(rslora: bool) -> float:
        method = MethodConfig("lora", rank=16, alpha=32, rslora=rslora)
        adapted = adapt(load(make_config(cache)).model, method, 0)
        (scale,) = {part.scaling["default"] for part in adapted.modules() if hasattr(part, "lora_A")}
        return float(scale)

    assert (scaling(False), scaling(True)) == (2.0, 8.0)


@pytest.mark.parametrize("name", NAMES)
def test_dora_begins_as_the_model_and_trains_a_length_an_output(name: str, cache: Path) -> None:
    checkpoint = load(make_config(cache, name))
    inputs = {"input_ids": torch.arange(3, 9)[None]}
    if checkpoint.encoder_decoder:
        inputs["decoder_input_ids"] = torch.tensor([[0, 5]])
    with torch.no_grad():
        before = checkpoint.model(**inputs).logits
        adapted = adapt(checkpoint.model, MethodConfig("lora", rank=2, dora=True), 0)
        torch.testing.assert_close(adapted(**inputs).logits, before, rtol=1e-4, atol=1e-4)
    assert any("magnitude" in key for key, weight in adapted.named_parameters() if weight.requires_grad)


def test_dora_is_refused_where_weights_are_divided() -> None:
    dora, fsdp = MethodConfig("lora", dora=True), TrainerConfig(strategy="fsdp")
    with pytest.raises(UserError, match=r"method.dora=true .*trainer.strategy=ddp"):
        check_dora(dora, fsdp)
    for method, trainer in (
        (dora, TrainerConfig()),
        (MethodConfig("lora"), fsdp),
        (MethodConfig("full", dora=True), fsdp),
    ):
        check_dora(method, trainer)


def test_layers_are_named_once_and_of_a_known_kind() -> None:
    with pytest.raises(UserError, match="both name the layers"):
        check_method(MethodConfig("lora", target="attention", target_modules=["q_proj"]))
    with pytest.raises(UserError, match="did you mean 'attention'"):
        check_method(MethodConfig("lora", target="atention"))
    own: Any = torch.nn.Sequential(torch.nn.Linear(2, 2))
    own.config = SimpleNamespace(model_type="own", is_encoder_decoder=False)
    with pytest.raises(UserError, match="Name the layers"):
        adapt(own, MethodConfig("lora", target="attention"), 0)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("target", ["all_linear", "attention"])
def test_the_decoders_last_layers_alone(name: str, target: str, cache: Path) -> None:
    model = load(make_config(cache, name)).model
    adapted = adapt(model, MethodConfig(name="lora", layers="top:1", target=target), seed=0)
    trained = [key for key, weight in adapted.named_parameters() if weight.requires_grad]
    last = ".layers.1." if name == "tiny_llama" else ".decoder.block.1."
    assert trained
    assert all(last in key and "lora_" in key for key in trained)
    assert any("mlp" in key or "DenseReluDense" in key for key in trained) == (target == "all_linear")


def test_every_layer_is_the_same_as_all_of_them(cache: Path) -> None:
    def trained(layers: str) -> list[str]:
        adapted = adapt(load(make_config(cache)).model, MethodConfig(name="lora", layers=layers), seed=0)
        return [key for key, weight in adapted.named_parameters() if weight.requires_grad]

    assert trained("top:2") == trained("all")


def test_names_choose_within_the_last_layers(cache: Path) -> None:
    model = load(make_config(cache)).model
    method = MethodConfig(name="lora", layers="top:1", target_modules=["q_proj"])
    trained = [key for key, weight in adapt(model, method, seed=0).named_parameters() if weight.requires_grad]
    assert len(trained) == 2
    assert all("layers.1.self_attn.q_proj" in key for key in trained)


def test_layers_that_a_model_does_not_have(cache: Path) -> None:
    config = ModelConfig("tiny_llama", source="random")
    check_layers(config, MethodConfig("lora", layers="top:2"), cache)
    with pytest.raises(
        UserError, match=r"top:3: the decoder of this model has 2 layers. Give top:1 to top:2"
    ):
        check_layers(config, MethodConfig("lora", layers="top:3"), cache)
    with pytest.raises(UserError, match=r"within method.layers=top:1 in method.target_modules: 'lm_head'"):
        check_layers(config, MethodConfig("lora", layers="top:1", target_modules=["lm_head"]), cache)
    with pytest.raises(UserError, match="method=full trains every weight"):
        check_method(MethodConfig("full", layers="top:1"))


@pytest.mark.parametrize(
    ("name", "checkpointing"), [("tiny_llama", False), ("tiny_llama", True), ("tiny_t5", False)]
)
def test_nothing_is_kept_for_a_backward_pass_below(name: str, checkpointing: bool, cache: Path) -> None:
    config = make_config(cache, name, activation_checkpointing=checkpointing)
    config.method = MethodConfig(name="lora", layers="top:1")
    model = make_trainable(load(config).model, config)
    needs: dict[str, bool] = {}

    def look(layer: str) -> Any:
        return lambda part, given, output: needs.update(
            {layer: (output if isinstance(output, torch.Tensor) else output[0]).requires_grad}
        )

    for layer, part in decoder_layers(bare(model)).items():
        part.register_forward_hook(look(layer))
    ids = torch.arange(3, 9)[None]
    model(**{"input_ids": ids, **({"decoder_input_ids": ids} if name == "tiny_t5" else {})})
    assert list(needs.values()) == [False, True]
