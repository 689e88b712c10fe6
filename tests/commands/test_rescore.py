from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from instruct_ablate.cell.after.rescore import Rescored
from instruct_ablate.cell.run.runner import run_cell
from instruct_ablate.command_line import group
from instruct_ablate.errors import UserError
from instruct_ablate.metrics import Score, Selection
from instruct_ablate.schema import ModelConfig, TasksConfig
from tests.standins import make_config


def test_a_study_is_scored_again(tmp_path: Path) -> None:
    tasks = TasksConfig("starter", test_tasks=1, test_instances=3)
    config = make_config(tmp_path, tasks=tasks, model=ModelConfig("majority", source="baseline"))
    assert run_cell(config).state == "done"
    result = CliRunner().invoke(group, ["rescore", str(tmp_path / config.study)])
    assert result.exit_code == 0, result.output
    assert "1 cell: 0 changed, 1 the same, 0 left" in result.output


def test_no_such_study_is_told(tmp_path: Path) -> None:
    result = CliRunner().invoke(group, ["rescore", str(tmp_path / "none")])
    assert isinstance(result.exception, UserError)


def test_each_cell_says_what_became_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[object, ...]] = []
    one, other = (Score("overall", 1, (("exact_match", value),)) for value in (1.0, 2.0))
    results = (
        Rescored("same", (("original", one, one),)),
        Rescored("changed", (("original", one, other),)),
        Rescored("left", left="is running"),
        Rescored("stayed", stayed=("own", "mine")),
        Rescored("model", needs_model=("likelihood",)),
    )

    def rescore_study(*words: object) -> tuple[Rescored, ...]:
        given.append(words)
        return results

    monkeypatch.setattr("instruct_ablate.cell.after.rescore.rescore_study", rescore_study)
    words = ["--metric", "a.b", "--metric", "c.d", "--extensions", "e.py", "--trust"]
    result = CliRunner().invoke(group, ["rescore", "s", *words])
    assert given == [(Path("s"), Selection(("a.b", "c.d"), ("e.py",)), True)]
    first, *rest, last = result.output.splitlines()
    assert first == "changed: scores changed"
    assert rest[:2] == [
        "left: left as it is (is running)",
        "stayed: own, mine as before; --extensions FILE with their code scores them again",
    ]
    assert rest[2].startswith("model: likelihood needs the model")
    assert last == "5 cells: 1 changed, 3 the same, 1 left"
    CliRunner().invoke(group, ["rescore", "s"])
    assert given[1] == (Path("s"), Selection((), ()), False)
