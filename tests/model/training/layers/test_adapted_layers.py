"""Adapted layers in one function, against peft's own chain."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from instruct_ablate.errors import Interrupted
from instruct_ablate.model.training.fit import fit
from instruct_ablate.model.training.layers import fused_layers
from instruct_ablate.model.training.layers.adapted_layers import (
    WAY,
    Adapted,
    is_plain,
    learning_forward,
    way_of,
    with_adapters,
)
from instruct_ablate.model.training.layers.joined_layers import Passing
from instruct_ablate.model.training.loss import packed_attention_of, token_losses
from instruct_ablate.model.training.module import InstructionModule
from instruct_ablate.model.training.resume.stretches import read_stretches, told
from instruct_ablate.model.training.trainable import make_trainable
from instruct_ablate.schema import MethodConfig
from tests.model.fits import NAMES, first_batch, gradients, load, make_config, make_prompts

PRECISIONS = (torch.float32, torch.bfloat16)
SIZES = (24, 40)  # of a layer's input and output


@pytest.fixture
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp() / "cache"


def layer(dtype: torch.dtype = torch.float32, bias: bool = False, rank: int = 4, **more: Any) -> Any:
    """peft's layer, its adapter no longer as it begins: one of its matrices is zero then."""
    torch.manual_seed(rank)
    base = nn.Sequential(nn.Linear(*SIZES, bias=bias, dtype=dtype))
    lora = LoraConfig(r=rank, lora_alpha=3 * rank, target_modules=["0"], **more)
    made: Any = get_peft_model(base, lora).base_model.model[0]  # type: ignore[arg-type]
    nn.init.normal_(made.lora_B["default"].weight, std=0.2)
    return made


def states(dtype: torch.dtype = torch.float32, rows: int = 150) -> Tensor:
    torch.manual_seed(0)
    return torch.randn(1, rows, SIZES[0]).to(dtype).requires_grad_()


def outcome(forward: Callable[[Tensor], Tensor], made: Any, given: Tensor) -> list[Tensor]:
    """Return a layer's output and the gradients of its input and matrices."""
    output = forward(given)
    learnt = [weight for weight in made.parameters() if weight.requires_grad]
    back = torch.autograd.grad((output.float() * output.float().cos()).sum(), [given, *learnt])
    return [output.detach(), *back]


def apart(given: Tensor, wanted: Tensor) -> float:
    return float((given.double() - wanted.double()).norm() / wanted.double().norm())


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("rank", [1, 4, 16])
def test_output_and_gradients_are_pefts(bias: bool, rank: int) -> None:
    made, given = layer(bias=bias, rank=rank), states()
    forward = learning_forward(made)
    assert forward is not None
    for one, other in zip(outcome(forward, made, given), outcome(made, made, given), strict=True):
        assert one.dtype == other.dtype
        assert one.shape == other.shape
        assert apart(one, other) < 1e-6


@pytest.mark.parametrize("bias", [False, True])
def test_in_bf16_what_is_rounded_is_as_much_as_a_product_rounds(bias: bool) -> None:
    made, given = layer(torch.bfloat16, bias), states(torch.bfloat16)
    forward = learning_forward(made)
    assert forward is not None
    found = outcome(forward, made, given)
    assert [one.dtype for one in found] == [torch.bfloat16, torch.bfloat16, torch.float32, torch.float32]
    for one, other in zip(found, outcome(made, made, given), strict=True):
        assert apart(one, other) < 1e-2


@pytest.mark.parametrize("dtype", PRECISIONS)
def test_each_part_of_the_rows_has_its_own_adapter_or_none(dtype: torch.dtype) -> None:
    first, second = layer(dtype, rank=2), layer(dtype, rank=8)
    second.base_layer = first.base_layer
    given = states(dtype)
    lengths = [40, 30, 50, 30]
    beside = list(zip(lengths, [first, None, second, first], strict=True))
    output = with_adapters(first.base_layer, given, beside)
    pieces = torch.split(given, lengths, 1)
    wanted = torch.cat(
        [with_adapters(first.base_layer, piece, [(piece.shape[1], one)])
         for piece, (_, one) in zip(pieces, beside, strict=True)], 1
    )  # fmt: skip
    torch.testing.assert_close(output, wanted)
    plain = first.base_layer(pieces[1])
    torch.testing.assert_close(output[:, 40:70], plain)
    learnt = [w for one in (first, second) for w in one.parameters() if w.requires_grad]
    slopes = torch.randn_like(output)
    found = torch.autograd.grad(output, [given, *learnt], slopes)
    for one, other in zip(found, torch.autograd.grad(wanted, [given, *learnt], slopes), strict=True):
        assert apart(one, other) < (1e-6 if dtype == torch.float32 else 1e-2)


class Products(TorchDispatchMode):
    """Notes in which precision products are made."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[tuple[str, torch.dtype]] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function.overloadpacket.__name__.rstrip("_")
        if "mm" in name:
            self.seen |= {(name, one.dtype) for one in args if isinstance(one, Tensor)}
        return function(*args, **kwargs or {})


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("dtype", PRECISIONS)
def test_products_of_all_parts_at_once_are_those_of_each_and_as_precise(
    dtype: torch.dtype, frozen: bool
) -> None:
    """On GPUs adapters of joined cells were computed in fp32, where a cell alone has its layer's precision."""
    made = [layer(dtype, rank=rank) for rank in (2, 8, 4)]
    for one in made[1:]:
        one.base_layer = made[0].base_layer
    lengths, given = [40, 30, 80], states(dtype)
    given.requires_grad_(not frozen)
    passing, beside = Passing(), list(zip(lengths, made, strict=True))
    laid = passing.beside(lengths, given.device)
    learnt = [*([] if frozen else [given]), *(w for one in made for w in one.parameters() if w.requires_grad)]
    slopes, found, products = torch.randn(1, 150, SIZES[1]).to(dtype), [], []
    for side_by_side in (None, laid):
        with Products() as counted:
            output = with_adapters(made[0].base_layer, given, beside, side_by_side)
            found.append([output.detach(), *torch.autograd.grad(output, learnt, slopes)])
        products.append(counted.seen)
    for one, other in zip(*found, strict=True):
        assert one.dtype == other.dtype
        assert apart(one, other) < (1e-6 if dtype == torch.float32 else 1e-3)
    assert {kind for _, kind in products[0]} == {kind for _, kind in products[1]} == {dtype}
    assert {"baddbmm", "bmm"} <= {name for name, _ in products[1]}
    assert "bmm" not in {name for name, _ in products[0]}


def test_nothing_wide_is_kept_and_no_input_twice() -> None:
    made, given = layer(torch.bfloat16), states(torch.bfloat16)
    kept: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda one: kept.append(one) or one, lambda one: one):
        with_adapters(made.base_layer, given, [(150, made)])
    large = [one for one in kept if one.numel() >= 150 * 4]
    assert {one.data_ptr() for one in large if one.numel() == given.numel()} == {given.data_ptr()}
    assert {one.dtype for one in large} == {torch.bfloat16}


def test_frozen_inputs_get_no_gradient() -> None:
    made, given = layer(), states().detach()
    with_adapters(made.base_layer, given, [(150, made)]).sum().backward()
    assert made.lora_A["default"].weight.grad is not None
    assert made.base_layer.weight.grad is None


@pytest.mark.parametrize(
    "changed", ["dropout", "dora", "merged", "bias of the adapter", "hook", "own forward", "learns", "two"]
)
def test_what_does_more_stays_pefts(changed: str) -> None:
    made = layer(
        lora_dropout=0.3 if changed == "dropout" else 0.0,
        use_dora=changed == "dora",
        lora_bias=changed == "bias of the adapter",
    )
    if changed == "merged":
        made.merge()
    if changed == "hook":
        made.lora_A["default"].register_forward_hook(lambda *_: None)
    if changed == "own forward":
        vars(made.base_layer)["forward"] = made.base_layer.forward
    if changed == "learns":
        made.base_layer.requires_grad_(True)
    if changed == "two":
        made.set_adapter(["default", "default"])
    assert learning_forward(made) is None
    assert is_plain(layer())
    assert learning_forward(nn.Linear(2, 2)) is None


def test_a_layer_that_the_adapter_at_work_does_not_have_stays_as_it_is() -> None:
    """peft leaves it out: of two adapters on one model each may have layers of its own."""
    made = layer()
    made._active_adapter = "another"
    assert not is_plain(made)
    assert torch.equal(made(states()), made.base_layer(states()))


def test_outside_of_steps_that_learn_bits_are_pefts() -> None:
    made, given = layer(torch.bfloat16), states(torch.bfloat16)
    forward = learning_forward(made)
    assert forward is not None
    with torch.no_grad():
        assert torch.equal(forward(given), made(given))
    made.enable_adapters(False)
    assert torch.equal(forward(given), made.base_layer(given))
    half = layer(torch.float16)
    forward, wide = learning_forward(half), states(torch.float16)
    assert forward is not None
    assert torch.equal(forward(wide), half(wide))


def adapted(name: str, dtype: torch.dtype, cache: Path, size: float = 0.05, **method: Any) -> tuple[Any, Any]:
    config = replace(
        make_config(cache, name, batch_size=14, micro_batch_tokens=4000),
        method=MethodConfig("lora", **method),
    )
    checkpoint = load(config, dtype)
    model = make_trainable(checkpoint.model, config)
    torch.manual_seed(1)
    for weight in model.parameters():
        if weight.requires_grad:
            weight.data += size * torch.randn_like(weight)
    return replace(checkpoint, model=model), config


def trained(checkpoint: Any, config: Any, monkeypatch: pytest.MonkeyPatch, peft: bool) -> tuple[Tensor, Any]:
    """Return losses and gradients of a batch, by peft's own layers or ours."""
    calls: list[None] = []
    own = Adapted.apply
    with monkeypatch.context() as patch:
        if peft:
            patch.setattr(fused_layers, "learning_forward", lambda _: None)
        patch.setattr(Adapted, "apply", lambda *given: calls.append(None) or own(*given))
        batch, model = first_batch(checkpoint, config), checkpoint.model
        torch.manual_seed(3)
        model.zero_grad()
        with packed_attention_of(model):
            losses = torch.cat([token_losses(model, part) for part in batch.micro_batches])
            losses.sum().backward()
    dropping = config.method.dropout > 0
    assert bool(calls) is (not peft and not dropping)
    found = {name: slope.clone() for name, slope in gradients(model).items()}
    return losses.detach(), found


@pytest.mark.parametrize("name", [*NAMES, "tiny_gemma3", "tiny_qwen3", "tiny_umt5"])
@pytest.mark.parametrize(
    "method",
    [
        pytest.param({}, id="plain"),
        pytest.param({"rslora": True, "target": "attention"}, id="rslora"),
        pytest.param({"dropout": 0.3}, id="dropout"),
    ],
)
def test_gradients_of_a_model_are_pefts(
    name: str, method: dict[str, Any], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint, config = adapted(name, torch.float32, cache, rank=4, **method)
    losses, found = trained(checkpoint, config, monkeypatch, peft=False)
    plain, wanted = trained(checkpoint, config, monkeypatch, peft=True)
    torch.testing.assert_close(losses, plain, rtol=1e-5, atol=1e-6)
    assert found.keys() == wanted.keys()
    given, other = (torch.cat([one[key].flatten() for key in wanted]) for one in (found, wanted))
    assert apart(given, other) < 1e-6


def test_an_adapted_output_layer_that_is_tied_to_the_words(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint, config = adapted("tiny_llama", torch.float32, cache, target_modules=["lm_head", "q_proj"])
    losses, found = trained(checkpoint, config, monkeypatch, peft=False)
    plain, wanted = trained(checkpoint, config, monkeypatch, peft=True)
    torch.testing.assert_close(losses, plain, rtol=1e-5, atol=1e-6)
    assert any("lm_head" in key for key in found)
    for key, other in wanted.items():
        assert apart(found[key], other) < 1e-5


@pytest.mark.parametrize("name", NAMES)
def test_in_bf16_gradients_lie_near_to_those_in_fp32_as_pefts_do(
    name: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have the weights that bf16 has; in two layers little else is rounded than what adapters give."""
    low, config = adapted(name, torch.bfloat16, cache, size=0.005, rank=4)
    exact = replace(low, model=make_trainable(load(config).model, config))
    exact.model.load_state_dict({key: weight.float() for key, weight in low.model.state_dict().items()})
    wanted = trained(exact, config, monkeypatch, peft=True)[1]
    errors = []
    for peft in (False, True):
        found = trained(low, config, monkeypatch, peft=peft)[1]
        given, other = (torch.cat([one[key].flatten() for key in wanted]) for one in (found, wanted))
        errors.append(apart(given, other))
    assert errors[0] < 2 * errors[1]
    assert errors[0] < 0.01


@pytest.mark.parametrize("begun", ["before", "now"])
def test_a_fit_that_goes_on_with_other_products_of_adapters_notes_it(
    begun: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Begun by a version that left adapters to peft, stopped, and ended by this one."""
    config = replace(make_config(cache), method=MethodConfig("lora", rank=4))
    real = InstructionModule._step

    def stops(module: InstructionModule) -> None:
        real(module)
        if module.done + 1 == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(InstructionModule, "_step", stops)
        if begun == "before":
            patch.setattr(fused_layers, "learning_forward", lambda _: None)
        with pytest.raises(Interrupted):
            fit(load(config), make_prompts(), config, tmp_path)
    fit(load(config), make_prompts(), config, tmp_path)
    found = read_stretches(tmp_path / "checkpoints")
    assert [(one.first, one.way) for one in found] == [(0, WAY if begun == "now" else ""), (3, WAY)]
    assert len(told(found, found[0].place)) == (begun == "before")


def test_a_way_is_noted_where_adapters_are_computed_so() -> None:
    half, whole = nn.Sequential(layer(torch.float16)), nn.Sequential(layer(torch.bfloat16))
    for model, way in ((half, ""), (whole, WAY)):
        assert way_of(model) == ""
        with fused_layers.fused(model):
            assert way_of(model) == way
        assert way_of(model) == ""
