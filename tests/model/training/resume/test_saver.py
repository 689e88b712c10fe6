from __future__ import annotations

import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from instruct_ablate.cost import Cost
from instruct_ablate.errors import Interrupted
from instruct_ablate.model.training.module import InstructionModule
from instruct_ablate.model.training.resume import training_state
from instruct_ablate.model.training.resume.saver import Meter, Saver
from tests.model.fits import load, make_config

STRATEGY = SimpleNamespace(root_device=torch.device("cpu"))
TRAINER: Any = SimpleNamespace(world_size=1, is_global_zero=True, should_stop=False, strategy=STRATEGY)


@pytest.fixture
def module(tmp_path_factory: pytest.TempPathFactory) -> InstructionModule:
    config = make_config(tmp_path_factory.getbasetemp() / "cache")
    made = InstructionModule(load(config).model, config.trainer, steps=6)
    made.configure_optimizers()
    return made


def make_saver(folder: Path, state: dict[str, Any] | None = None) -> Saver:
    curve: Any = SimpleNamespace(tokens=70, examples=7, padding=25)
    data: Any = SimpleNamespace(state_dict=lambda: {"step": 99, "schedule": "s"}, first_step=0)
    return Saver(folder, 2, state, data, Meter(curve, Cost(train_tokens=30, train_seconds=5.0), started=0.0))


def pass_steps(saver: Saver, module: InstructionModule, *numbers: int) -> None:
    for number in numbers:
        module.done = number
        saver.on_train_batch_end(TRAINER, module, None, None, number)


def test_checkpoints_are_written_when_due_but_not_at_the_end(
    tmp_path: Path, module: InstructionModule
) -> None:
    pass_steps(make_saver(tmp_path), module, 1, 2, 3)
    assert [path.stem for path in training_state.steps(tmp_path)] == ["step-00000002"]
    pass_steps(make_saver(tmp_path), module, 5, 6)
    assert len(training_state.steps(tmp_path)) == 1


def test_a_checkpoint_holds_what_goes_on(tmp_path: Path, module: InstructionModule) -> None:
    pass_steps(make_saver(tmp_path), module, 2)
    state = training_state.latest(tmp_path)
    assert state is not None
    assert state["data"] == {"step": 2, "schedule": "s"}
    assert (state["cost"]["train_tokens"], state["cost"]["train_steps"]) == (100, 2)
    assert state["cost"]["padding_share"] == 0.2  # 25 padding places and 100 tokens
    assert state["cost"]["train_seconds"] > 5.0
    module.done = 0
    saver = make_saver(tmp_path, state)
    saver.on_train_start(TRAINER, module)
    saver.on_train_end(TRAINER, module)
    assert module.done == 2
    assert saver.state is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR2, signal.SIGINT])
def test_told_to_stop_it_writes_a_checkpoint_and_stops(
    number: signal.Signals, tmp_path: Path, module: InstructionModule
) -> None:
    before, saver = signal.getsignal(number), make_saver(tmp_path)
    saver.on_train_start(TRAINER, module)
    pass_steps(saver, module, 1)
    os.kill(os.getpid(), number)
    with pytest.raises(Interrupted, match=rf"{number.name}.*after step 3 of 6"):
        pass_steps(saver, module, 3)
    assert [path.stem for path in training_state.steps(tmp_path)] == ["step-00000003"]
    saver.on_exception(TRAINER, module, Interrupted())
    assert signal.getsignal(number) is before


def test_told_to_stop_at_the_last_step_it_finishes(tmp_path: Path, module: InstructionModule) -> None:
    saver = make_saver(tmp_path)
    saver.stop.reason = "SIGTERM"
    pass_steps(saver, module, 6)
    assert training_state.steps(tmp_path) == []
