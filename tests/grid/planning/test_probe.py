"""The probe: each model and method once, short, and nothing of it left in the study."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from instruct_ablate.cell.state.identity import identify
from instruct_ablate.cell.state.record.record import CellRecord, Environment, Failure
from instruct_ablate.cell.state.store import missing_record
from instruct_ablate.cost import Cost
from instruct_ablate.errors import UserError
from instruct_ablate.grid.planned_cell import Cell
from instruct_ablate.grid.planning import probe as module
from instruct_ablate.grid.planning.probe import TESTED, probe
from instruct_ablate.schema import BudgetConfig, Config, LoggerConfig, MethodConfig, ModelConfig, TasksConfig
from tests.standins import make_config, replace_inputs

MACHINE = Environment("host", "command", None, "3.11", (), "cpu", "fp32")


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[Config]:
    """The configurations that were run, each a second of training and one of testing."""
    replace_inputs(monkeypatch)
    configs: list[Config] = []

    def run(config: Config) -> CellRecord:
        configs.append(config)
        assert Path(config.output).is_dir()
        return replace(
            missing_record(identify(config)),
            state="done",
            environment=MACHINE,
            cost=Cost(train_seconds=1.0, train_tokens=50, evaluate_seconds=1.0, evaluate_instances=4),
            started=1.0,
            finished=5.0,
        )

    monkeypatch.setattr(module, "run_cell", run)
    return configs


def cells(folder: Path, *changes: dict[str, Any]) -> list[Cell]:
    configs = [make_config(folder, **change) for change in changes]
    return [Cell((), config, identify(config)) for config in configs]


def test_each_model_and_method_is_run_once_trained_if_it_can_be(tmp_path: Path, ran: list[Config]) -> None:
    t5, majority = ModelConfig("tiny_t5", source="random"), ModelConfig("majority", source="baseline")
    found = probe(
        cells(
            tmp_path,
            {"data_budget": BudgetConfig(0)},
            {"seed": 1},
            {"seed": 2},
            {"method": MethodConfig("lora")},
            {"model": t5, "data_budget": BudgetConfig(0)},
            {"model": majority},
        ),
        20,
    )
    by_name = {(way.model, way.method): speed for way, speed in found.items()}
    assert set(by_name) == {("tiny_llama", "full"), ("tiny_llama", "lora"), ("tiny_t5", "full")}
    assert len({way.machine for way in found}) == 1
    assert len(ran) == 3
    assert [config.data_budget.instances_per_task for config in ran] == [8, 8, 0]
    assert by_name["tiny_llama", "full"].tokens == 50
    assert by_name["tiny_llama", "full"].other_seconds == 2.0


def test_it_is_short_and_leaves_nothing(tmp_path: Path, ran: list[Config]) -> None:
    probe(
        cells(tmp_path, {"logger": LoggerConfig("wandb"), "keep_checkpoints": True, "study": "mine"}),
        20,
    )
    (config,) = ran
    assert config.trainer.max_steps == 20
    assert (config.tasks.test_tasks, config.tasks.test_instances) == TESTED
    assert (config.logger.name, config.keep_checkpoints, config.study) == ("none", False, "probe")
    assert not Path(config.output).exists()
    assert list(tmp_path.iterdir()) == []


def test_smaller_tests_than_the_probes_stay_as_they_are(tmp_path: Path, ran: list[Config]) -> None:
    probe(cells(tmp_path, {"tasks": TasksConfig("starter", test_tasks=3, test_instances=1)}), 1)
    assert (ran[0].tasks.test_tasks, ran[0].tasks.test_instances) == (3, 1)


def test_a_probe_that_fails_says_why(
    tmp_path: Path, ran: list[Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(config: Config) -> CellRecord:
        failure = Failure("no room on the device", "", 1)
        return replace(missing_record(identify(config)), state="failed", failure=failure)

    monkeypatch.setattr(module, "run_cell", fail)
    with pytest.raises(UserError, match=r"the probe of tiny_llama-.* did not end: no room on the device"):
        probe(cells(tmp_path, {}), 5)


@pytest.mark.parametrize("steps", [0, -3])
def test_no_steps_measure_nothing(steps: int) -> None:
    with pytest.raises(UserError, match=f"--probe {steps}: at least one step"):
        probe([], steps)
