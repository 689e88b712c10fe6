from __future__ import annotations

import pytest
import torch
from torch import nn

from instruct_ablate.model.training.master_weights import MasterWeights
from instruct_ablate.model.training.optimizer import build_optimizer
from instruct_ablate.model.trial import proven
from instruct_ablate.schema import TrainerConfig


def test_fp32_weights_are_their_own_masters() -> None:
    layer = nn.Linear(3, 2)
    weights = MasterWeights(layer.parameters())
    assert all(master is weight for master, weight in zip(weights.masters, layer.parameters(), strict=True))


def test_frozen_weights_have_no_master() -> None:
    layer = nn.Linear(3, 2).bfloat16()
    layer.weight.requires_grad_(False)
    weights = MasterWeights(layer.parameters())
    assert [master.shape for master in weights.masters] == [layer.bias.shape]
    layer(torch.ones(1, 3).bfloat16()).sum().backward()
    assert layer.weight.grad is None


def test_small_updates_add_up_that_bf16_alone_would_lose() -> None:
    layer = nn.Linear(1, 1, bias=False).bfloat16()
    with torch.no_grad():
        layer.weight.fill_(1.0)
    weights = MasterWeights(layer.parameters())
    for _ in range(100):
        with torch.no_grad():
            weights.masters[0] += 1e-3
        weights.publish()
    assert float(layer.weight.detach()) == pytest.approx(1.1, rel=1 / 256)
    alone = torch.ones((), dtype=torch.bfloat16)
    for _ in range(100):
        alone += 1e-3
    assert float(alone) == 1.0


@pytest.mark.parametrize("optimizer", ["adamw", "adafactor"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_step_makes_other_weights_of_those_that_were_tried(optimizer: str, dtype: torch.dtype) -> None:
    """Before: AdamW's fused step counts no write, and fp32 weights were held for those before it."""
    model, tried = nn.Linear(3, 2).to(dtype), []

    def trial(one: nn.Module) -> bool:
        tried.append(one)
        return True

    weights = MasterWeights(model.parameters())
    steps = build_optimizer(weights.masters, TrainerConfig(optimizer=optimizer))
    for times in (1, 2):
        assert proven(trial, model)
        assert proven(trial, model)
        assert len(tried) == times
        model(torch.ones(1, 3, dtype=dtype)).sum().backward()
        steps.step()
        weights.publish()


def test_gradients_are_summed_in_fp32_and_freed() -> None:
    layer = nn.Linear(1, 1, bias=False).bfloat16()
    weights = MasterWeights(layer.parameters())
    for value in [1.0] + [2.0**-9] * 8:
        layer(torch.full((1, 1), value).bfloat16()).sum().backward()
        assert layer.weight.grad is None
    gradient = weights.masters[0].grad
    assert gradient is not None
    assert gradient.dtype == torch.float32
    assert float(gradient) == 1.0 + 8 * 2.0**-9  # in bf16 each addition would be lost


def test_scaling_and_overflow() -> None:
    layer = nn.Linear(2, 1, bias=False).bfloat16()
    weights = MasterWeights(layer.parameters())
    assert weights.finite()
    layer(torch.tensor([[4.0, 2.0]]).bfloat16()).sum().backward()
    weights.multiply(0.5)
    gradient = weights.masters[0].grad
    assert gradient is not None
    assert gradient.tolist() == [[2.0, 1.0]]
    assert weights.finite()
    gradient[0, 0] = torch.inf
    assert not weights.finite()


def test_state_goes_round() -> None:
    one, other = nn.Linear(3, 2).bfloat16(), nn.Linear(3, 2).bfloat16()
    weights, loaded = MasterWeights(one.parameters()), MasterWeights(other.parameters())
    with torch.no_grad():
        weights.masters[0] += 1e-4
    loaded.load(weights.state())
    assert torch.equal(loaded.masters[0], weights.masters[0])
    assert torch.equal(other.weight.float(), weights.masters[0].bfloat16().float())


def test_released_weights_keep_their_own_gradients() -> None:
    layer = nn.Linear(1, 1, bias=False).bfloat16()
    weights = MasterWeights(layer.parameters())
    weights.release()
    layer(torch.ones(1, 1).bfloat16()).sum().backward()
    assert layer.weight.grad is not None
    assert weights.masters[0].grad is None
