from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from instruct_ablate.cell.run.runner import run_cell
from instruct_ablate.command_line import group
from instruct_ablate.errors import UserError
from instruct_ablate.schema import ModelConfig, TasksConfig
from tests.standins import make_config


def test_a_study_is_scored_again(tmp_path: Path) -> None:
    tasks = TasksConfig("starter", test_tasks=1, test_instances=3)
    config = make_config(tmp_path, tasks=tasks, model=ModelConfig("majority", source="baseline"))
    assert run_cell(config).state == "done"
    result = CliRunner().invoke(group, ["rescore", str(tmp_path / config.study)])
    assert result.exit_code == 0, result.output
    assert "1 cells: 0 changed, 1 the same, 0 left" in result.output


def test_no_such_study_is_told(tmp_path: Path) -> None:
    result = CliRunner().invoke(group, ["rescore", str(tmp_path / "none")])
    assert isinstance(result.exception, UserError)
