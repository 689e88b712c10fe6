from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from instruct_ablate.command_line import group
from instruct_ablate.errors import UserError
from instruct_ablate.grid.study import read_study
from instruct_ablate.schema import TasksConfig
from instruct_ablate.tasks.collection import read_tasks

TASKS = ["tasks.test_tasks=2", "tasks.test_instances=3"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    tasks = read_tasks(TasksConfig("starter", test_tasks=2, test_instances=3)).test
    rows = [
        {"task": task.name, "id": one.id, "answer": one.references[0]}
        for task in tasks
        for one in task.instances
    ]
    path = tmp_path / "answers.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def words(file: Path, tmp_path: Path) -> list[str]:
    return ["import", str(file), "--model", "api", *TASKS, f"output={tmp_path}", "study=s"]


def test_predictions_become_a_cell(file: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(group, [*words(file, tmp_path), "--column", "prediction=answer"])
    assert result.exit_code == 0, (result.output, result.exception)
    assert "exact match 100.00" in result.output
    cells = read_study(tmp_path / "s").cells
    assert [(cell.state, cell.axes.model) for cell in cells] == [("done", "api")]


def test_a_column_that_cannot_be_read_is_told(file: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(group, [*words(file, tmp_path), "--column", "answer"])
    assert isinstance(result.exception, UserError)
    assert "NAME=COLUMN" in str(result.exception)


def test_missing_instances_are_told(file: Path, tmp_path: Path) -> None:
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:-1]))
    result = CliRunner().invoke(group, [*words(file, tmp_path), "--column", "prediction=answer"])
    assert isinstance(result.exception, UserError)
