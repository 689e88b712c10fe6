"""Keys of how written answers end, over tasks of which none, some or all are written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from instruct_ablate.cell.state.identity import Contents, Data
from instruct_ablate.errors import UserError
from instruct_ablate.grid.checking.unread import unread
from instruct_ablate.grid.checking.written import cuts, ended_alike, writes
from instruct_ablate.grid.composing.composer import put_at
from instruct_ablate.schema import Config, ModelConfig
from instruct_ablate.tasks.task import Instance, TaskCollection
from tests.conftest import make_task
from tests.standins import make_config

CLASSES = make_task("classes", label_space=("yes", "no"))
FREE = make_task("free", label_space=None)
ROWS = replace(
    FREE, name="rows", instances=(Instance("a", "in", ("x",)),), answer_choices=(("a", ("x", "y")),)
)
HALF = replace(ROWS, instances=(*ROWS.instances, Instance("b", "in", ("x",))))


@pytest.fixture(autouse=True)
def _no_content(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("instruct_ablate.cell.state.identity._data", lambda config: Data("data"))
    monkeypatch.setattr(
        "instruct_ablate.cell.state.identity.weights_fingerprint", lambda config: config.model.name
    )


def give_tasks(monkeypatch: pytest.MonkeyPatch, *tasks: Any, held: tuple[Any, ...] = ()) -> None:
    read = TaskCollection("mine", (FREE,), tasks, "hash", validation=held)
    monkeypatch.setattr("instruct_ablate.tasks.collection.read_tasks", lambda config, cache: read)


def cell(folder: Path, decoding: str = "rank", **changes: Any) -> Config:
    config = put_at(make_config(folder), "evaluation.decoding", decoding)
    for key, value in changes.items():
        config = put_at(config, f"evaluation.{key}", value)
    return config


@pytest.mark.parametrize("decoding", ["rank", "rank_normalized", "constrained", "channel"])
def test_rows_under_two_names_are_told_where_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decoding: str
) -> None:
    cells = [cell(tmp_path, decoding, stop=stop) for stop in ("token", "line")]
    give_tasks(monkeypatch, CLASSES, ROWS)
    (line,) = ended_alike([*cells, replace(cells[0], seed=1), replace(cells[1], seed=1)])
    assert line.startswith("evaluation.stop=token and evaluation.stop=line: ")
    assert f"evaluation.decoding={decoding}" in line
    (said,) = unread(cells, ["evaluation.stop=token,line"], Contents())
    assert said.startswith("evaluation.stop='token','line' changes nothing here")
    for tasks in ((CLASSES, FREE), (CLASSES, HALF)):
        give_tasks(monkeypatch, *tasks)
        assert ended_alike(cells) == unread(cells, ["evaluation.stop=token,line"], Contents()) == []
    give_tasks(monkeypatch, CLASSES, held=(FREE,))
    assert writes(cells[0]), "what weights are chosen by is written"


def test_slack_and_cutting_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    give_tasks(monkeypatch, CLASSES)
    cells = [cell(tmp_path, answer_slack=slack, cut_wrong_answers=slack == 0) for slack in (None, 0, 8)]
    (line,) = ended_alike(cells)
    assert line.count("evaluation.answer_slack=") == line.count("evaluation.cut_wrong_answers=") == 3
    given = ["evaluation.answer_slack=0,8", "evaluation.cut_wrong_answers=true"]
    assert len(unread(cells, given, Contents())) == 2


def test_greedy_cells_read_them_and_other_cells_stand_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_tasks(monkeypatch, CLASSES)
    greedy = [cell(tmp_path, "greedy", stop=stop) for stop in ("token", "line")]
    assert ended_alike(greedy) == unread(greedy, ["evaluation.stop=token,line"], Contents()) == []
    mixed = [greedy[1], cell(tmp_path, stop="line")]
    assert ended_alike(mixed) == unread(mixed, ["evaluation.stop=line"], Contents()) == []
    guess = ModelConfig("majority", source="baseline")
    assert ended_alike([replace(cell(tmp_path, stop=s), model=guess) for s in ("token", "line")]) == []


def test_cutting_reads_classification_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    give_tasks(monkeypatch, FREE)
    own = cell(tmp_path, "greedy", cut_wrong_answers=True)
    assert not cuts(own)
    assert len(unread([own], ["evaluation.cut_wrong_answers=true"], Contents())) == 1
    give_tasks(monkeypatch, FREE, CLASSES)
    assert cuts(own)


def test_tasks_that_cannot_be_read_may_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(config: Any, cache: Path) -> TaskCollection:
        raise UserError("no such file")

    monkeypatch.setattr("instruct_ablate.tasks.collection.read_tasks", fail)
    assert writes(cell(tmp_path))
    assert cuts(cell(tmp_path, "greedy"))
