from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from instruct_ablate.grid.checking.preflight import faults, planned_faults
from instruct_ablate.schema import BudgetConfig, InstructionConfig, ModelConfig, TasksConfig
from instruct_ablate.tasks import collection
from instruct_ablate.tasks.task import TaskCollection
from tests.conftest import make_task
from tests.standins import make_config

TWO, THREE = make_task("two"), make_task("three")
THREE = replace(THREE, positive_examples=(*TWO.positive_examples, TWO.positive_examples[0]))
UNMET = "tasks.test_tasks=9: the collection has 1 test task; all are used"


@pytest.fixture(autouse=True)
def _tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    read = TaskCollection("mine", (TWO, THREE), (TWO,), "hash", notes=(UNMET, "two: an oddity"))
    monkeypatch.setattr("instruct_ablate.tasks.collection.read_tasks", lambda config, cache: read)


@pytest.mark.parametrize("check", [faults, planned_faults])
def test_numbers_that_tasks_do_not_come_to_are_told_once_before_the_first_cell(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, check: object
) -> None:
    asked = InstructionConfig(num_positive=3)
    cells = [
        make_config(tmp_path, instruction=asked, seed=seed, data_budget=BudgetConfig(8)) for seed in (0, 1)
    ]
    assert check(cells) in ([], ([], []))  # type: ignore[operator]
    assert caplog.messages == [
        "instruction.num_positive=3: 1 of 2 training tasks has fewer positive examples: two (2 of 3)",
        "instruction.num_positive=3: 1 of 1 test task has fewer positive examples: two (2 of 3)",
        UNMET,
        "data_budget.instances_per_task=8: 2 tasks have fewer and are used as they are: two (6), three (6)",
    ]


def test_nothing_is_said_where_no_examples_are_read_or_all_is_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        asked, budget = InstructionConfig(num_positive=3), BudgetConfig(6)
        guess = ModelConfig("majority", source="baseline")
        assert (
            faults(
                [
                    make_config(tmp_path, instruction=asked, model=guess),
                    make_config(tmp_path, data_budget=budget),
                ]
            )
            == []
        )
    assert caplog.messages == [UNMET]


def test_a_grid_s_checks_hold_its_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the tasks themselves, not those of above
    read: list[object] = []
    own = collection._read

    def noted(config: TasksConfig, folder: Path) -> TaskCollection:
        read.append(config)
        return own(config, folder)

    monkeypatch.setattr(collection, "_read", noted)
    cells = [make_config(tmp_path, seed=seed) for seed in (0, 1, 2)]
    assert faults(cells) == []
    assert len(read) == 1
    assert planned_faults(cells)[0] == []
    assert len(read) == 2
