"""Stand-ins for what a cell's runner and a grid need of tasks and models: quick, without torch."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from instruct_ablate.cell.run.job import Job, Outcome
from instruct_ablate.cell.state.environment import environment
from instruct_ablate.cell.state.identity import Data
from instruct_ablate.cell.state.record.record import ScoreBlock
from instruct_ablate.cost import Cost
from instruct_ablate.metrics import Scores
from instruct_ablate.schema import (
    BudgetConfig,
    Config,
    LoggerConfig,
    MethodConfig,
    ModelConfig,
    PromptConfig,
    TasksConfig,
)
from tests.scored import score


def make_config(folder: Path, **changes: Any) -> Config:
    """One trained cell on the starter tasks."""
    config = Config(
        tasks=TasksConfig("starter"),
        data_budget=BudgetConfig(8),
        model=ModelConfig("tiny_llama", source="random"),
        method=MethodConfig("full"),
        prompt=PromptConfig("tk_instruct"),
        logger=LoggerConfig("none"),
        output=str(folder),
        cache=str(folder / "cache"),
    )
    return replace(config, **changes)


def replace_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every cell the same data and weights, without reading any."""
    monkeypatch.setattr("instruct_ablate.cell.state.identity._data", lambda config: Data("data"))
    monkeypatch.setattr(
        "instruct_ablate.cell.state.identity.weights_fingerprint", lambda config: config.model.name
    )
    monkeypatch.setattr("instruct_ablate.grid.checking.preflight.cell_checks", lambda config, ranks_later: [])
    monkeypatch.setattr("instruct_ablate.grid.sweep.twins", lambda configs: [])


def make_scores(value: float = 50.0) -> Scores:
    """Scores of one instance."""
    one = score("overall", 1, value, value, value, 100.0, 50.0)
    return Scores(one, one, (one,), (one,), ())


def work(job: Job) -> Outcome:
    """Stand in for training and testing; `STANDIN_FAIL` names cells (part of their name) that fail."""
    if (part := os.environ.get("STANDIN_FAIL")) and part in job.identity.name:
        raise RuntimeError("it broke")
    block = ScoreBlock("original", "predictions/original.jsonl", make_scores())
    return Outcome((block,), Cost(train_seconds=1.0), environment("cpu", "fp32"), ("a note",))
