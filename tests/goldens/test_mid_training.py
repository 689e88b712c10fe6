"""A cell that was told to stop in the middle of its training, on an earlier day, is gone on with today."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from instruct_ablate.cell.run.runner import run_cell
from instruct_ablate.cell.state.store import read_record
from tests.goldens import cases
from tests.goldens.test_old_study import configuration

(CELL,) = (path.parent for path in (cases.HERE / "mid_training").glob("*/record.json"))
STEPS = ("step-00000002.ckpt", "step-00000003.ckpt")


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "training.jsonl").read_text("utf-8").splitlines()]


def load(path: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(path, weights_only=True)
    state.get("random", {}).pop("cuda", None)  # as many as the machine has
    return state


def listing(value: Any) -> Any:
    """What a training state holds, without its numbers."""
    if isinstance(value, torch.Tensor):
        return [str(value.dtype), *value.shape]
    if isinstance(value, dict):
        return {str(key): listing(item) for key, item in value.items()}
    return [listing(item) for item in value] if isinstance(value, list | tuple) else type(value).__name__


def test_the_cell_lies_there_interrupted() -> None:
    record = read_record(CELL)
    assert record is not None
    assert (record.state, record.name) == ("interrupted", CELL.name)
    assert record.notes == ("told to stop (SIGTERM) after step 3 of 6",)
    assert sorted(path.name for path in (CELL / "checkpoints").iterdir()) == list(STEPS)
    assert [line["step"] for line in lines(CELL)] == [1, 2, 3]
    assert sum(path.stat().st_size for path in CELL.rglob("*") if path.is_file()) < 600_000


def test_it_goes_on_where_it_stopped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "multirun" / "mid_training" / CELL.name
    shutil.copytree(CELL, folder)
    changes = {
        "output": str(tmp_path / "multirun"),
        "cache": str(tmp_path / "cache"),
        "keep_checkpoints": True,
    }
    with caplog.at_level(logging.INFO):
        record = run_cell(configuration(CELL, **changes))
    assert record.state == "done", record.failure
    assert "going on after step 3 of 6" in caplog.text
    assert record.identity == json.loads((CELL / "identity.json").read_text("utf-8"))["identity"]
    assert (record.cost.train_steps, record.cost.train_examples) == (6, 12)
    went = lines(folder)
    assert [line["step"] for line in went] == [1, 2, 3, 4, 5, 6]
    assert went[:3] == lines(CELL)
    assert record.blocks[0].scores.overall.instances == 18
    stopped = load(CELL / "checkpoints" / STEPS[-1])
    later = load(folder / "checkpoints" / "step-00000004.ckpt")
    assert later["cost"].pop("point_seconds") == 0.0  # came later
    assert later["cost"].pop("gpu_memory") == 0
    assert isinstance(later["data"].pop("examples"), int)  # so did this: a checksum
    assert listing(later) == listing(stopped)  # today's states hold what those of then did
    trained = load(folder / "checkpoints" / "trained.ckpt")
    assert sorted(trained) == ["cost", "masters"]
    assert listing(trained["masters"]) == listing(stopped["masters"])


def test_what_a_training_state_holds() -> None:
    state = load(CELL / "checkpoints" / STEPS[-1])
    assert state["step"] == 3
    assert state["data"] == {
        "step": 3,
        "schedule": {"examples": 12, "batch_size": 2, "seed": 0, "group_size": None},
    }
    assert list(state) == ["step", "masters", "optimizer", "schedule", "scale", "random", "data", "cost"]
    assert (len(state["masters"]), list(state["optimizer"])) == (28, ["state", "param_groups"])
    assert list(state["optimizer"]["state"][0]) == ["step", "exp_avg", "exp_avg_sq"]
    assert list(state["random"]) == ["cpu"]
