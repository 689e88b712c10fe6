"""What is told of shared beginnings is of the same examples and steps on both sides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import shared, training
from instruct_ablate.model.loading.checkpoint import load_checkpoint
from instruct_ablate.schema import ModelConfig, TasksConfig
from instruct_ablate.tasks.collection import read_tasks


@pytest.mark.parametrize("method", [[], ["--method", "lora", "--layers", "top:1"]])
def test_both_sides_have_the_same_steps(
    method: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    checkpoint = load_checkpoint(
        ModelConfig(name="tiny_llama", source="random"), torch.float32, tmp_path / "cache"
    )
    monkeypatch.setattr(training, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(training, "make_checkpoint", lambda *_: checkpoint)
    words = ["--tasks", "2", "--repetitions", "1", "--batch-size", "4", "--steps", "2"]
    given = shared.options([*words, *method])
    tasks = read_tasks(TasksConfig(reader="starter"), tmp_path / "cache").train
    found: dict[str, Any] = shared.run_case(given, 2, tasks, tmp_path / "states")
    assert found["examples"] == 8
    every, left = found["tokens of an epoch"]
    assert found["tokens of the steps"] == [every, left]  # two steps are all of it
    assert left < every
    one, other = found["losses"]
    assert one == pytest.approx(other, abs=2e-4)
    assert found["packed, seconds"] > 0 < found["ratio"]
    counted = shared.run_case(
        shared.options([*words, *method, "--count-only"]), 2, tasks, tmp_path / "states"
    )
    assert "ratio" not in counted
    assert counted["tokens of an epoch"] == [every, left]
