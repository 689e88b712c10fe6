"""A cell as a trial of a search: its validation score, what a search lacks, and a cell that failed."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from omegaconf import OmegaConf

from instruct_ablate.cell.state.record.record import CellRecord, Failure, Selected
from instruct_ablate.cell.state.setting.setting import make_setting
from instruct_ablate.errors import TrialFailedError, UserError
from instruct_ablate.grid import trial
from instruct_ablate.grid.study import read_study
from instruct_ablate.grid.trial import check_search, run_task, validation_score
from instruct_ablate.schema import BudgetConfig, Config, EvaluationConfig, TasksConfig, TrainerConfig
from tests.grid.small import TASKS, sweep
from tests.standins import make_config

DONE = CellRecord(
    "ab", "tiny", make_setting({}, {}), 0, "done", selected=Selected("rougeL", 2, 4, 4, ((2, 7.5),))
)
FAILED = CellRecord("ab", "tiny", make_setting({}, {}), 0, "failed", failure=Failure("no memory", ""))
SEARCH = ("hydra/sweeper=optuna", "hydra.sweeper.direction=maximize", "hydra.sweeper.sampler.seed=1")
SELECTING = (
    "tasks.validation=2", "trainer.select=best:rougeL", "evaluation.at=[1.0]", "evaluation.at_instances=2",
    "trainer.max_steps=1", "data_budget=2", "trainer.learning_rate=tag(log,interval(1e-5,1e-2))",
)  # fmt: skip

Ends = Callable[..., Any]


def selecting(folder: Path, **changes: Any) -> Config:
    given: dict[str, Any] = {
        "trainer": TrainerConfig(select="best:rougeL"),
        "evaluation": EvaluationConfig(at=[1.0]),
        "tasks": TasksConfig("starter", validation=2),
        **changes,
    }
    return make_config(folder, **given)


@pytest.fixture
def ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ends:
    """Call the task as Hydra does, under a sweeper, for a cell that ends so."""

    def call(record: CellRecord, sweeper: str = "optuna", **changes: Any) -> Any:
        node = OmegaConf.create({"direction": "maximize"})
        hydra = SimpleNamespace(runtime=SimpleNamespace(choices={"hydra/sweeper": sweeper}), sweeper=node)
        monkeypatch.setattr("hydra.core.hydra_config.HydraConfig.initialized", lambda: True)
        monkeypatch.setattr("hydra.core.hydra_config.HydraConfig.get", lambda: hydra)
        monkeypatch.setattr(trial, "composed", lambda config: config)
        monkeypatch.setattr(trial, "faults", lambda configs: [])
        monkeypatch.setattr(trial, "run_one", lambda config: record.state)
        monkeypatch.setattr(trial, "run_cell", lambda config: record)
        return run_task(selecting(tmp_path, **changes))

    return call


def test_a_search_gets_the_validation_score_and_a_grid_the_state(ends: Ends, tmp_path: Path) -> None:
    assert ends(DONE) == 7.5
    (asked,) = read_study(tmp_path / Config().study).cells
    assert asked.state == "missing", "it is declared, for status and report"
    assert ends(DONE, "ablation") == "done"
    assert ends(FAILED, "basic") == "failed"


def test_a_cell_that_failed_is_a_failed_trial(ends: Ends) -> None:
    with pytest.raises(TrialFailedError, match="tiny is failed: no memory"):
        ends(FAILED)
    with pytest.raises(SystemExit) as stop:
        ends(FAILED, fail_fast=True)
    assert stop.value.code == 1
    with pytest.raises(SystemExit) as stop:
        ends(replace(FAILED, state="interrupted"))
    assert stop.value.code == 143
    with pytest.raises(TrialFailedError, match="is done"):
        validation_score(replace(DONE, selected=None))


@pytest.mark.parametrize(
    ("changes", "direction", "words"),
    [
        (
            {"trainer": TrainerConfig()},
            "maximize",
            r"needs a score on held-out .*trainer\.select=best:rougeL",
        ),
        ({"data_budget": BudgetConfig(0)}, "maximize", r"needs a score"),
        ({}, "minimize", r"best:rougeL is better where it is higher: add hydra\.sweeper\.direction=maximize"),
        ({"until": "decided"}, "maximize", r"until=decided is for grids"),
        ({"detach": True}, "maximize", r"detach=True is for grids"),
    ],
)
def test_what_cannot_be_searched_is_refused(
    tmp_path: Path, changes: dict[str, Any], direction: str, words: str
) -> None:
    sweeper = OmegaConf.create({"direction": direction})
    with pytest.raises(UserError, match=words):
        check_search(selecting(tmp_path, **changes), sweeper)


def test_a_sound_search_passes(tmp_path: Path) -> None:
    check_search(selecting(tmp_path), OmegaConf.create({"direction": "maximize"}))
    check_search(selecting(tmp_path), OmegaConf.create({}))


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("hydra_plugins.hydra_optuna_sweeper") is None, reason="needs the optuna extra"
)
def test_optuna_searches(tmp_path: Path) -> None:
    words = (
        *SEARCH,
        "hydra.sweeper.n_trials=2",
        "hydra.sweeper.n_jobs=1",
        *TASKS,
        *SELECTING,
        "study=s",
        "output=o",
    )
    done = sweep(tmp_path, *words, PYTHONPATH=os.pathsep.join(filter(None, sys.path)))
    assert done.returncode == 0, done.stderr
    found = OmegaConf.load(tmp_path / "o" / "s" / "optimization_results.yaml")
    cells = read_study(tmp_path / "o" / "s").cells
    assert [cell.state for cell in cells] == ["done", "done"]
    assert found.best_value == max(cell.selected.score for cell in cells if cell.selected)
