"""Preparing a sweep: what is read, fetched and told."""

from __future__ import annotations

from pathlib import Path

import pytest

from instruct_ablate.errors import UserError
from instruct_ablate.grid.prepare import prepare
from instruct_ablate.schema import ModelConfig, TasksConfig
from tests.standins import make_config


@pytest.mark.parametrize(("name", "kind"), [("tiny_llama", "decoder-only"), ("tiny_t5", "encoder-decoder")])
def test_tasks_and_model_are_ready_afterwards(tmp_path: Path, name: str, kind: str) -> None:
    config = make_config(tmp_path, model=ModelConfig(name, source="random"))
    tasks, model = prepare(config)
    assert tasks.startswith("tasks starter: ")
    assert tasks.endswith("test tasks")
    assert model.startswith(f"model {name}: ")
    assert model.endswith(f"million weights, {kind}, ready")
    assert list((tmp_path / "cache" / "models").iterdir())


def test_a_baseline_needs_nothing(tmp_path: Path) -> None:
    config = make_config(tmp_path, model=ModelConfig("majority", source="baseline"))
    assert list(prepare(config))[1] == "model majority: a baseline, nothing to fetch"
    assert not (tmp_path / "cache" / "models").exists()


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        list(prepare(make_config(tmp_path, model=ModelConfig("mine", path=str(tmp_path / "none")))))
    with pytest.raises(UserError):
        list(prepare(make_config(tmp_path, tasks=TasksConfig("startr"))))
