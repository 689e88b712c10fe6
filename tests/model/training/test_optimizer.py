from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from instruct_ablate.errors import UserError
from instruct_ablate.model.training.optimizer import build_optimizer, build_schedule, learning_rate
from instruct_ablate.model.training.settings import check_optimisation
from instruct_ablate.schema import TrainerConfig


def rates(steps: int, **settings: Any) -> list[float]:
    config = TrainerConfig(learning_rate=1.0, **settings)
    optimizer = build_optimizer([nn.Parameter(torch.ones(2))], config)
    schedule = build_schedule(optimizer, config, steps)
    found = []
    for _ in range(steps):
        found.append(learning_rate(optimizer))
        optimizer.step()
        schedule.step()
    return found


def test_schedules() -> None:
    assert rates(4, schedule="constant") == [1.0] * 4
    assert rates(4, schedule="linear") == [1.0, 0.75, 0.5, 0.25]
    assert rates(5, schedule="constant", warmup_steps=3) == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert rates(6, schedule="linear", warmup_steps=2) == pytest.approx([1 / 3, 2 / 3, 1.0, 0.75, 0.5, 0.25])


@pytest.mark.parametrize("name", ["adamw", "adafactor"])
def test_optimizers_go_down_and_decay_weights(name: str) -> None:
    config = TrainerConfig(optimizer=name, learning_rate=0.1, weight_decay=0.5)
    weight = nn.Parameter(torch.full((3, 2), 4.0))
    optimizer = build_optimizer([weight], config)
    weight.grad = torch.zeros_like(weight)
    optimizer.step()
    assert torch.allclose(weight, torch.tensor(4.0 * (1 - 0.1 * 0.5)))
    for _ in range(20):
        weight.grad = weight.detach().clone()
        optimizer.step()
    assert float(weight.detach().abs().max()) < 3.0


def test_adafactor_keeps_the_rate_it_is_given() -> None:
    optimizer: Any = build_optimizer(
        [nn.Parameter(torch.ones(2))], TrainerConfig(optimizer="adafactor", learning_rate=3e-4)
    )
    group = optimizer.param_groups[0]
    assert (group["relative_step"], group["scale_parameter"], group["lr"]) == (False, False, 3e-4)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"optimizer": "adam"}, "did you mean 'adamw'"),
        ({"schedule": "lineer"}, "did you mean 'linear'"),
        ({"learning_rate": 0.0}, "learning_rate=0.0 must be above 0"),
        ({"warmup_steps": -1}, "warmup_steps=-1 must be at least 0"),
        ({"weight_decay": -0.1}, "weight_decay=-0.1 must be at least 0"),
        ({"gradient_clip": 0.0}, "or null for none"),
        ({"gradient_clip": float("nan")}, "gradient_clip=nan must be above 0"),
        ({"learning_rate": float("inf")}, "learning_rate=inf must be above 0"),
    ],
)
def test_settings_no_optimizer_can_follow(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=told):
        check_optimisation(replace(TrainerConfig(), **changes))


def test_defaults_are_allowed() -> None:
    check_optimisation(TrainerConfig())
    check_optimisation(TrainerConfig(gradient_clip=None))


def test_a_schedule_that_is_all_warm_up_ends_at_nothing() -> None:
    assert rates(2, schedule="linear", warmup_steps=2) == pytest.approx([1 / 3, 2 / 3])
    assert rates(3, schedule="linear", warmup_steps=2) == pytest.approx([1 / 3, 2 / 3, 1.0])
    config = TrainerConfig(learning_rate=1.0, schedule="linear")
    optimizer = build_optimizer([nn.Parameter(torch.ones(2))], config)
    schedule = build_schedule(optimizer, config, 1)
    for _ in range(3):
        optimizer.step()
        schedule.step()
    assert learning_rate(optimizer) == 0.0


def test_adamw_is_fused_and_adafactor_warms_nothing_up() -> None:
    weights = [nn.Parameter(torch.ones(2))]
    first = build_optimizer(weights, TrainerConfig())
    assert isinstance(first, torch.optim.AdamW)
    assert first.defaults["fused"] is True
    second: Any = build_optimizer(weights, TrainerConfig(optimizer="adafactor", weight_decay=0.5))
    assert (second.defaults["warmup_init"], second.defaults["weight_decay"]) == (False, 0.5)
